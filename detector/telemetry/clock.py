"""The computer's own clocks."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detector.protocols import Clock

_SET_BACK = 1.0
"""Seconds by which a clock that runs too fast may be behind: that is followed."""


class SystemClock:
    """The real clocks (`protocols.Clock`)."""

    def now(self) -> float:
        """Return epoch seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return time.monotonic()


class SteadyClock:
    """A clock whose wall clock is not set back: where another's is, it goes on as if that had not been."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead = -math.inf
        """By how much the wall clock was ahead of the monotonic one."""

    def now(self) -> float:
        """Return epoch seconds."""
        wall, monotonic = self._clock.now(), self._clock.monotonic()
        if wall - monotonic < self._ahead - _SET_BACK:
            return monotonic + self._ahead
        self._ahead = wall - monotonic
        return wall

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        return self._clock.monotonic()
