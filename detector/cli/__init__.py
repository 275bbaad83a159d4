"""The command line. What a command needs beyond its options is imported when it runs, so that `--help` is quick."""
