"""Partitions without any record: the one thing that no log can tell, so the clock does; it is no finding, and no alert.

A partition is idle while its position does not move although the daemon waits for nothing: then there is nothing to
read. What stops the daemon stops the count, which begins anew behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import structlog

from detector.telemetry.logs import Rarely
from detector.types import Partition, Position

log = structlog.get_logger(__name__)

_AFTER = 600.0
"""Seconds after which a partition counts as idle where nothing else is said ..."""
_PAUSES = 2.0
"""... if that is so many times its longest pause of late, as with the absence of an entity ..."""
_LONGEST = 86400.0
"""... but no more than a day: an outage is a pause, too."""


class Reading(NamedTuple):
    """A partition that is read, where it is read on, and its longest pause of late, seconds of event time."""

    partition: Partition
    position: Position
    pause: float = 0.0


@dataclass
class _Watched:
    """A partition as it was when something last moved it."""

    position: Position
    moved: float
    said: Rarely


class Idle:
    """Watches partitions. `tell` takes a partition and for how many seconds it has been idle, 0 where it is not."""

    def __init__(
        self, after: Literal["auto"] | float, monotonic: Callable[[], float], tell: Callable[[Partition, float], None]
    ) -> None:
        self._after = after
        self._monotonic = monotonic
        self._tell = tell
        self._watched: dict[Partition, _Watched] = {}

    def accept(self, after: Literal["auto"] | float) -> None:
        """Take another bound from now on."""
        self._after = after

    def look(self, partitions: Sequence[Reading], *, ready: bool) -> None:
        """Look at all partitions of this worker; `ready` says that the daemon waits for nothing."""
        now = self._monotonic()
        for gone in self._watched.keys() - {each.partition for each in partitions}:
            del self._watched[gone]
        for each in partitions:
            watched = self._watched.get(each.partition)
            if watched is None:
                watched = self._watched[each.partition] = _Watched(each.position, now, Rarely(log, self._monotonic))
            if each.position != watched.position or not ready:
                watched.position, watched.moved = each.position, now
            seconds = now - watched.moved
            idle = seconds >= self._bound(each.pause)
            self._tell(each.partition, seconds if idle else 0.0)
            if idle:
                watched.said.say("partition_idle", partition=str(each.partition), idle_s=round(seconds, 1))
            elif not seconds:
                watched.said.over("partition_speaks_again", partition=str(each.partition))

    def _bound(self, pause: float) -> float:
        """Return after how many seconds a partition counts as idle."""
        return min(max(_AFTER, _PAUSES * pause), _LONGEST) if self._after == "auto" else self._after
