"""Files to deploy detector with."""
