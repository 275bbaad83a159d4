"""The lines of a delivery, one for each sink: they may be exchanged while it runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from detector.alerts.line import Line
    from detector.protocols import Sink

log = structlog.get_logger(__name__)

_MOMENT = 0.1
"""Seconds that an idle line may take to end."""


class Lines:
    """Lines by their sinks, which are told apart by identity: no two of one name at a time.

    All but `end` is done under the delivery's lock.
    """

    def __init__(self, sinks: Sequence[Sink], make: Callable[[Sink], Line]) -> None:
        self._make = make
        self._lines = [make(sink) for sink in sinks]
        self._wanted: list[Sink] = list(sinks)

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines)

    def interrupt(self) -> None:
        """End all rounds after the attempts under way."""
        for line in self._lines:
            line.interrupt()

    def wants(self, line: Line) -> bool:
        """Tell whether a line is to stay."""
        return _among(line.sink, self._wanted)

    def want(self, sinks: Sequence[Sink]) -> None:
        """Say which sinks there shall be; those that were to come, and will not, are closed."""
        never = [sink for sink in self._to_come() if not _among(sink, sinks)]
        self._wanted = list(sinks)
        for line in self._lines:
            if not self.wants(line):
                line.interrupt()
        for sink in never:
            sink.close()

    def exchange(self, busy: Collection[Line]) -> tuple[list[Line], list[Line]]:
        """Take out idle lines that are not wanted, and make those of new sinks whose names are free; returns both."""
        gone = [line for line in self._lines if not self.wants(line) and line not in busy]
        stay = [line for line in self._lines if line not in gone]
        taken = {line.sink.name for line in stay}
        new = [self._make(sink) for sink in self._to_come() if sink.name not in taken]
        self._lines = [*stay, *new]
        return gone, new

    def end(self, timeout: float) -> None:
        """End all lines after the attempts under way, for at most so many seconds, and close all sinks."""
        deadline = time.monotonic() + timeout
        for line in self._lines:
            line.stop()
        for line in self._lines:
            end(line, deadline - time.monotonic())
        for sink in self._to_come():
            sink.close()

    def _to_come(self) -> list[Sink]:
        here = [line.sink for line in self._lines]
        return [sink for sink in self._wanted if not _among(sink, here)]


def end(line: Line, timeout: float = 0.0) -> None:
    """Wait so long for a line to stop, and close its sink; it is left alone where it takes longer."""
    line.stop()
    line.thread.join(max(timeout, _MOMENT))
    if line.thread.is_alive():
        log.warning("delivery_abandoned", sink=line.sink.name, advice="what was in flight will be sent again")
    else:
        line.sink.close()


def _among(sink: Sink, sinks: Sequence[Sink]) -> bool:
    return any(each is sink for each in sinks)
