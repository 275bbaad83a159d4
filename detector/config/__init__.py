"""The configuration: its settings, how they are read, and how errors in it are told."""
