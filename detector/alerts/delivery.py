"""Delivery: what the outboxes of the partitions hold goes out through the sinks, at least once, with stable ids."""

from __future__ import annotations

import heapq
import math
import threading
import time
from functools import partial
from secrets import SystemRandom
from typing import TYPE_CHECKING, TypeVar

import structlog

from detector.alerts.line import Concluded, DeliveryObserver, Item, Line
from detector.errors import DetectorError
from detector.types import Partition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from detector.protocols import Clock, PartitionStore, Sink
    from detector.types import QueuedEntry

log = structlog.get_logger(__name__)

T = TypeVar("T")
Backlog = dict[str, tuple[int, float, int]]
"""Per sink: number of entries, epoch seconds of the oldest, bytes."""

_random = SystemRandom().random

_LIMIT = 64  # entries of one partition in one round
_MOMENT = 0.1  # seconds that an idle line may take to end
_TICK = 1.0  # seconds after which everything is looked through, woken or not: retries fall due without a word


class Delivery:
    """The one thread that touches the outboxes, and a line (a thread) for each sink.

    The thread reads what is due, gives each idle line a round of it, and settles what the lines report: whatever has
    arrived by then in one transaction a partition. An entry is settled before it can be read again, so it goes out
    twice only where the daemon dies in between. It starts with the object; the sinks belong to it from then on.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        clock: Clock,
        observer: DeliveryObserver,
        jitter: Callable[[], float] = _random,
    ) -> None:
        self._clock = clock
        self._observer = observer
        self._changed = threading.Condition()
        # Shared, under `_changed`:
        self._stores: dict[Partition, PartitionStore] = {}
        self._leaving: set[Partition] = set()
        self._reported: list[Concluded] = []
        self._finished: list[Line] = []
        self._woken: set[Partition] = set()
        self._woken_all = False
        self._closing = False
        self._ended = False
        self._quiet = False
        self._waiting: dict[Partition, Backlog] = {}
        # The delivery thread's own:
        self._lines = [Line(sink, clock, observer, jitter, self._report) for sink in sinks]
        self._busy: dict[Line, set[Partition]] = {}
        self._look: dict[Line, set[Partition]] = {line: set() for line in self._lines}
        self._unsettled: dict[Partition, list[Concluded]] = {}
        self._troubled: set[Partition] = set()
        self._catching_up: set[Line] = set()
        self._next_tick = -math.inf
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)
        self._thread.start()

    # --- what others call

    def attach(self, store: PartitionStore) -> None:
        """Deliver what this store's outbox holds, from now on."""
        with self._changed:
            self._stores[store.partition] = store
        self.wake(store.partition)

    def detach(self, partition: Partition) -> None:
        """Leave a store alone; returns once nothing of it is in flight and what was delivered is settled.

        That takes as long as one attempt at most. A partition that is not attached is no error.
        """
        with self._changed:
            if partition not in self._stores or self._ended:
                self._stores.pop(partition, None)
                return
            self._leaving.add(partition)
            for line in self._lines:
                line.interrupt()
            self._changed.notify_all()
            self._changed.wait_for(lambda: partition not in self._stores or self._ended)

    def wake(self, partition: Partition | None = None) -> None:
        """Tell that a partition's outbox has got entries (any partition's: None, which looks through them all)."""
        with self._changed:
            if partition is None:
                self._woken_all = True
            else:
                self._woken.add(partition)
            self._quiet = False
            self._changed.notify_all()

    def waiting(self, partition: Partition) -> Backlog:
        """Return a partition's `PartitionStore.backlog` as of the last second."""
        with self._changed:
            return self._waiting.get(partition, {})

    def drain(self, timeout: float) -> bool:
        """Wait until all that can be delivered now has been; False where that takes longer than `timeout` seconds."""
        self.wake()
        with self._changed:
            return self._changed.wait_for(lambda: self._quiet or self._ended, timeout)

    def close(self, timeout: float) -> None:
        """Stop after the attempts under way and close the sinks; what is still in flight then will be sent again."""
        deadline = time.monotonic() + timeout
        with self._changed:
            self._closing = True
            for line in self._lines:
                line.interrupt()
            self._changed.notify_all()
        self._thread.join(timeout)
        with self._changed:
            self._ended = True
            self._stores.clear()  # from here on a late report must not touch a store that its owner may close
            self._changed.notify_all()
        for line in self._lines:
            line.stop()
        for line in self._lines:
            line.thread.join(max(deadline - time.monotonic(), _MOMENT))
            if line.thread.is_alive():
                log.warning("delivery_abandoned", sink=line.sink.name, advice="what was in flight will be sent again")
            else:
                line.sink.close()

    # --- called by the lines, on their threads

    def _report(self, line: Line, concluded: Concluded | None) -> None:
        with self._changed:
            if concluded is None:
                self._finished.append(line)
            else:
                self._reported.append(concluded)
            self._changed.notify_all()

    # --- the delivery thread

    def _run(self) -> None:
        while True:
            try:
                self._take_reports()
                self._settle()
                self._let_go()
                if self._closing and not self._busy:
                    break
                self._tick()
                for line in self._lines:
                    self._feed(line)
                self._rest()
            except Exception:  # a dead thread would be a daemon that silently sends no alert ever again
                log.exception("delivery_crashed")
                self._observer.crashed("delivery")
                time.sleep(_TICK)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _take_reports(self) -> None:
        with self._changed:
            reported, self._reported = self._reported, []
            finished, self._finished = self._finished, []
            woken, self._woken = self._woken & self._stores.keys(), set()
            if self._woken_all:
                self._woken_all = False
                self._next_tick = -math.inf
        for concluded in reported:
            self._unsettled.setdefault(concluded.item.partition, []).append(concluded)
        for line in finished:
            self._look[line] |= self._busy.pop(line)
        for line in self._lines:
            self._look[line] |= woken

    def _settle(self) -> None:
        for partition, concluded in list(self._unsettled.items()):
            store = self._stores.get(partition)
            # Without a store the delivery is closing: what was delivered goes out again, with the same id.
            if store is None or self._asked(partition, partial(_record, store, concluded), otherwise=False):
                del self._unsettled[partition]

    def _let_go(self) -> None:
        with self._changed:
            for partition in self._leaving - self._held():
                self._leaving.discard(partition)
                self._stores.pop(partition, None)
                self._waiting.pop(partition, None)
                self._unsettled.pop(partition, None)
                self._troubled.discard(partition)
                for look in self._look.values():
                    look.discard(partition)
                self._changed.notify_all()

    def _tick(self) -> None:
        """Look everywhere, once a second, and tell what waits."""
        if self._clock.monotonic() < self._next_tick:
            return
        self._next_tick = self._clock.monotonic() + _TICK
        stores = self._attached()
        nothing: Backlog = {}
        backlogs = {p: self._asked(p, store.backlog, nothing) for p, store in stores.items()}
        with self._changed:
            self._waiting = backlogs
        for line in self._lines:
            self._look[line] |= stores.keys()
            waiting = [b[line.sink.name] for b in backlogs.values() if line.sink.name in b]
            oldest = min((created for count, created, _ in waiting if count), default=0.0)
            self._observer.backlog(line.sink.name, sum(count for count, _, _ in waiting), oldest)

    def _feed(self, line: Line) -> None:
        """Give an idle line its next round."""
        if line in self._busy or line.resting or self._closing:
            return
        stores = {p: s for p, s in self._attached().items() if p not in self._unsettled}
        if line in self._catching_up and not line.down:
            items = self._due(line, stores, math.inf)
        else:
            items = self._due(line, {p: s for p, s in stores.items() if p in self._look[line]}, self._clock.now())
            if items and line.down:
                # All that waits, due or not: the oldest is tried first, and once the receiver is back all goes out.
                items = self._due(line, stores, math.inf)
                self._catching_up.add(line)
        if len(items) < _LIMIT:
            self._catching_up.discard(line)
        self._look[line].intersection_update(item.partition for item in items)
        if not items:
            return
        with self._changed:
            if self._leaving or self._closing:
                return
            self._busy[line] = {item.partition for item in items}
            line.give(items)

    def _due(self, line: Line, stores: Mapping[Partition, PartitionStore], now: float) -> list[Item]:
        """Return what is due, oldest first; each partition's in its own order."""
        nothing: list[QueuedEntry] = []
        found = {p: self._asked(p, partial(s.due, line.sink.name, now, _LIMIT), nothing) for p, s in stores.items()}
        items = ([Item(partition, queued) for queued in entries] for partition, entries in found.items())
        return list(heapq.merge(*items, key=lambda item: item.queued.created))

    def _asked(self, partition: Partition, call: Callable[[], T], otherwise: T) -> T:
        """Return what a store answers. One that is in trouble (disk full) must not keep the others from delivering."""
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

    def _rest(self) -> None:
        """Wait until something happens, or for the next tick."""
        with self._changed:
            idle = not self._busy and not self._unsettled
            if idle and not self._news():
                if not all(line.resting or not self._look[line] for line in self._lines):
                    return
                self._quiet = True
                self._changed.notify_all()
            self._changed.wait_for(self._news, _TICK)

    def _news(self) -> bool:
        return bool(
            self._reported
            or self._finished
            or self._woken
            or self._woken_all
            or self._leaving - self._held()
            or (self._closing and not self._busy)
        )

    def _held(self) -> set[Partition]:
        return set[Partition]().union(*self._busy.values())

    def _attached(self) -> dict[Partition, PartitionStore]:
        with self._changed:
            return {p: s for p, s in self._stores.items() if p not in self._leaving}


def _record(store: PartitionStore, concluded: Sequence[Concluded]) -> bool:
    store.settle([(c.item.queued, c.attempt, c.again) for c in concluded])
    return True
