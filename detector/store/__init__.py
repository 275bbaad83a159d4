"""What is kept: checkpoints, slots, control records, the outbox and dead letters."""
