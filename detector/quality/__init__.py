"""How well the daemon tells anomalies from the rest, on labelled data: `detector bench quality`."""
