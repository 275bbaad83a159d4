"""What a partition has learned, and how: blocks, slots, the bank, the TensorFlow program."""
