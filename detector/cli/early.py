"""Signals that come before a command has begun: TensorFlow takes seconds to import."""

from __future__ import annotations

import os
import signal


def end_in_order_at_signals() -> None:
    """Exit 0 at SIGTERM and Ctrl-C, until the daemon puts its own handlers in place of these.

    Nothing has begun that would have to be saved. And the kernel keeps from a container's first process all signals
    that it does not catch: it would miss the SIGTERM for good.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))


def hold_back_reloads() -> None:
    """Keep SIGHUP waiting until the daemon can reload: the file may have been read already."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
