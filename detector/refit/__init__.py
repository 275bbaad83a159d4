"""The refit: clusters a window of recent rows offline, in a process of its own that never imports TensorFlow."""
