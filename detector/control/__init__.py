"""The operator's channel to a running daemon: commands over a Unix socket in the store's folder."""
