"""What the delivery asks of stores: one that is in trouble must not keep the others from delivering."""

from __future__ import annotations

import heapq
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import structlog

from detector.alerts.line import Concluded, DeliveryObserver, Item
from detector.errors import DetectorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from detector.protocols import Outbox
    from detector.types import Partition, QueuedEntry

log = structlog.get_logger(__name__)

T = TypeVar("T")
Backlog = dict[str, tuple[int, float, int]]
"""Per sink: number of entries, epoch seconds of the oldest, bytes."""

LIMIT = 64
"""Entries of one partition in one round."""


class Outboxes:
    """Asks stores on the delivery thread; of one that cannot answer (disk full) it says so once, and goes on."""

    def __init__(self, observer: DeliveryObserver) -> None:
        self._observer = observer
        self._troubled: set[Partition] = set()

    def due(self, sink: str, stores: Iterable[Outbox], now: float) -> list[Item]:
        """Return what is due, oldest first; each partition's in its own order."""
        nothing: list[QueuedEntry] = []
        found = [(s.partition, self._asked(s, partial(s.due, sink, now, LIMIT), nothing)) for s in stores]
        items = ([Item(partition, queued) for queued in entries] for partition, entries in found)
        return list(heapq.merge(*items, key=lambda item: item.queued.created))

    def collapse(self, sink: str, store: Outbox) -> int:
        """Drop what later messages make superfluous; returns how many."""
        return self._asked(store, partial(store.collapse, sink), 0)

    def settle(self, store: Outbox, concluded: Sequence[Concluded]) -> bool:
        """Write down what became of entries; False where the store cannot take it now."""
        results = [(one.item.queued, one.attempt, one.again) for one in concluded]

        def settled() -> bool:
            store.settle(results)
            return True

        return self._asked(store, settled, otherwise=False)

    def backlog(self, store: Outbox) -> Backlog:
        """Return what waits."""
        nothing: Backlog = {}
        return self._asked(store, store.backlog, nothing)

    def forget(self, partition: Partition) -> None:
        """Forget that a partition was in trouble: it is let go."""
        self._troubled.discard(partition)

    def _asked(self, store: Outbox, call: Callable[[], T], otherwise: T) -> T:
        partition = store.partition
        try:
            answer = call()
        except Exception as error:
            if not isinstance(error, DetectorError):
                self._observer.crashed("delivery")
            if partition not in self._troubled:
                self._troubled.add(partition)
                explained = isinstance(error, DetectorError)
                log.warning("outbox_in_trouble", partition=str(partition), error=str(error), exc_info=not explained)
            return otherwise
        self._troubled.discard(partition)
        return answer
