"""`detector run`: the daemon."""

from __future__ import annotations

import os
import signal
import sys

from detector.cli.options import DEFAULT_CONFIG, ConfigFile


def run(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; a second signal ends it at once.

    It exits 0 after a checkpoint; 2, 3, 4 or 5 where configuration, store, source or a sink need a decision.
    """
    # Nothing has begun that would have to be saved, and the kernel keeps from a container's first process all signals
    # that it does not catch: it would miss the SIGTERM for good. The daemon puts its own handlers in place of these.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    # The configuration is judged first: an error in it is told before TensorFlow has loaded.
    from detector.config.load import load  # noqa: PLC0415 - pydantic is slow to import, and `--help` needs none of it

    settings = load(config)
    from detector import app  # noqa: PLC0415 - it imports TensorFlow

    status = app.run(settings)
    sys.stdout.flush()
    # All is closed. The interpreter would take TensorFlow apart for a second or more, and a process manager may wait
    # for ten; nor does it matter any more what an abandoned delivery still does.
    os._exit(status)
