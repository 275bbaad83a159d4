"""`detector run`: the daemon."""

from __future__ import annotations

import os
import sys
from functools import partial

from detector.cli.early import end_in_order_at_signals, hold_back_reloads
from detector.cli.options import DEFAULT_CONFIG, ConfigFile


def run(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; a second signal ends it at once. SIGHUP: see `detector reload`.

    It exits 0 after a checkpoint; 2, 3, 4 or 5 where configuration, store, source or a sink need a decision.
    """
    end_in_order_at_signals()
    hold_back_reloads()
    # The configuration is judged first: an error in it is told before TensorFlow has loaded.
    from detector.config.load import load  # noqa: PLC0415 - pydantic is slow to import, and `--help` needs none of it

    settings = load(config)
    from detector import app  # noqa: PLC0415 - it imports TensorFlow

    status = app.run(settings, partial(load, config))
    sys.stdout.flush()
    # All is closed. The interpreter would take TensorFlow apart for a second or more, and a process manager may wait
    # for ten; nor does it matter any more what an abandoned delivery still does.
    os._exit(status)
