"""`python -m detector` is `detector`."""

from detector.cli.main import main

main()
