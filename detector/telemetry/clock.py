"""The computer's own clocks."""

from __future__ import annotations

import time


class SystemClock:
    """The real clocks (`protocols.Clock`)."""

    def now(self) -> float:
        """Return epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()
