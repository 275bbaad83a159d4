"""What the daemon tells about itself: metrics, health and log."""
