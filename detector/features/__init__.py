"""What a model sees of a row: missing values filled in, declared transforms, lags, cycles of the event time."""
