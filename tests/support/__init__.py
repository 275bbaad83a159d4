"""What several tests share: a real broker, and the registry of sources for the contract suite."""
