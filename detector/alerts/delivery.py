"""Delivery: what the outboxes of the partitions hold goes out through the sinks, at least once, with stable ids."""

from __future__ import annotations

import math
import threading
import time
from secrets import SystemRandom
from typing import TYPE_CHECKING

import structlog

from detector.alerts.line import Concluded, DeliveryObserver, Item, Line
from detector.alerts.lines import Lines, end
from detector.alerts.outboxes import LIMIT, Backlog, Outboxes
from detector.telemetry.clock import SteadyClock
from detector.types import Partition

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from detector.protocols import Clock, Outbox, Sink

log = structlog.get_logger(__name__)

_random = SystemRandom().random

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
        # What failed is due at a time of the wall clock: set back by an hour, it would make people wait for so long.
        self._clock = steady = SteadyClock(clock)
        self._observer = observer
        self._changed = threading.Condition()
        # Shared, under `_changed`:
        self._stores: dict[Partition, Outbox] = {}
        self._leaving: set[Partition] = set()
        self._reported: list[Concluded] = []
        self._finished: list[Line] = []
        self._woken: set[Partition] = set()
        self._woken_all = False
        self._resumed = False
        self._closing = False
        self._ended = False
        self._quiet = False
        self._waiting: dict[Partition, Backlog] = {}
        self._lines = Lines(sinks, lambda sink: Line(sink, steady, observer, jitter, self._report))
        # The delivery thread's own:
        self._busy: dict[Line, set[Partition]] = {}
        self._unsettled: dict[Partition, list[Concluded]] = {}
        self._outboxes = Outboxes(observer)
        self._next_tick = -math.inf
        self._thread = threading.Thread(target=self._run, name="delivery", daemon=True)
        self._thread.start()

    # --- what others call

    def attach(self, store: Outbox) -> None:
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
            self._lines.interrupt()
            self._changed.notify_all()
            self._changed.wait_for(lambda: partition not in self._stores or self._ended)

    def replace(self, sinks: Sequence[Sink]) -> None:
        """Deliver through these sinks from now on, and return at once; those that are in use already go on.

        Another ends after the attempt under way; one of its name begins when that is written down: nothing goes out by
        both. What waits for receivers that were left alone is tried again.
        """
        with self._changed:
            self._lines.want(sinks)
        self.resume()

    def wake(self, partition: Partition | None = None) -> None:
        """Tell that a partition's outbox has got entries (any partition's: None, which looks through them all)."""
        with self._changed:
            if partition is None:
                self._woken_all = True
            else:
                self._woken.add(partition)
            self._quiet = False
            self._changed.notify_all()

    def resume(self) -> None:
        """Try again at once what waits for receivers that are down, or that were given up for gone."""
        with self._changed:
            self._resumed = True
        self.wake()

    def waiting(self, partition: Partition) -> Backlog:
        """Return a partition's `Outbox.backlog` as of the last second."""
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
            self._lines.interrupt()
            self._changed.notify_all()
        self._thread.join(timeout)
        with self._changed:
            self._ended = True
            self._stores.clear()  # from here on a late report must not touch a store that its owner may close
            self._changed.notify_all()
        self._lines.end(deadline - time.monotonic())

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
                self._exchange()
                for line in self._lines:
                    self._feed(line)
                self._tick()  # what has just come does not wait for it
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
            resumed, self._resumed = self._resumed, False
        for concluded in reported:
            self._unsettled.setdefault(concluded.item.partition, []).append(concluded)
        for line in finished:
            line.look |= self._busy.pop(line)
        for line in self._lines:
            line.look |= woken
            if resumed:
                line.resume()

    def _settle(self) -> None:
        for partition, concluded in list(self._unsettled.items()):
            store = self._stores.get(partition)
            # Without a store the delivery is closing: what was delivered goes out again, with the same id.
            if store is None or self._outboxes.settle(store, concluded):
                del self._unsettled[partition]

    def _let_go(self) -> None:
        with self._changed:
            for partition in self._leaving - self._held():
                self._leaving.discard(partition)
                self._stores.pop(partition, None)
                self._waiting.pop(partition, None)
                self._unsettled.pop(partition, None)
                self._outboxes.forget(partition)
                for line in self._lines:
                    line.look.discard(partition)
                self._changed.notify_all()

    def _exchange(self) -> None:
        with self._changed:
            gone, new = self._lines.exchange(self._busy)
        for line in gone:
            end(line)
            self._observer.backlog(line.sink.name, 0, 0.0)
        if new:
            self._next_tick = -math.inf

    def _tick(self) -> None:
        """Look everywhere, once a second, tell what waits, and give it to the lines."""
        if self._clock.monotonic() < self._next_tick:
            return
        self._next_tick = self._clock.monotonic() + _TICK
        stores = self._attached()
        backlogs = {partition: self._outboxes.backlog(store) for partition, store in stores.items()}
        with self._changed:
            self._waiting = backlogs
        for line in self._lines:
            line.look |= stores.keys()
            waiting = [b[line.sink.name] for b in backlogs.values() if line.sink.name in b]
            oldest = min((created for count, created, _ in waiting if count), default=0.0)
            self._observer.backlog(line.sink.name, sum(count for count, _, _ in waiting), oldest)
            self._feed(line)

    def _feed(self, line: Line) -> None:
        """Give an idle line its next round."""
        if line in self._busy or line.resting or self._closing:
            return
        items = self._chosen(line)
        if items and line.collapse and self._collapsed(line):
            items = self._chosen(line)
        line.catching_up = line.catching_up and len(items) >= LIMIT
        line.look.intersection_update(item.partition for item in items)
        if not items:
            return
        with self._changed:
            if not self._lines.wants(line) or self._leaving or self._closing:
                return
            self._busy[line] = {item.partition for item in items}
            line.give(items)

    def _chosen(self, line: Line) -> list[Item]:
        """Return what is due; of a sink that was down all that waits, due or not: once it is back all goes out."""
        stores = self._settled()
        if line.catching_up and not line.down:
            return self._outboxes.due(line.sink.name, stores, math.inf)
        looked = [store for store in stores if store.partition in line.look]
        items = self._outboxes.due(line.sink.name, looked, self._clock.now())
        if items and line.down:
            line.catching_up = True
            items = self._outboxes.due(line.sink.name, stores, math.inf)
        return items

    def _collapsed(self, line: Line) -> int:
        """Drop what a later message of the same incident makes superfluous; returns how many."""
        if dropped := sum(self._outboxes.collapse(line.sink.name, store) for store in self._settled()):
            self._observer.collapsed(line.sink.name, dropped)
        return dropped

    def _settled(self) -> list[Outbox]:
        """Return the stores in which what was tried is written down."""
        return [store for partition, store in self._attached().items() if partition not in self._unsettled]

    def _rest(self) -> None:
        """Wait until something happens, or for the next tick."""
        with self._changed:
            if not self._busy and not self._unsettled and not self._news():
                if not all(line.resting or not line.look for line in self._lines):
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

    def _attached(self) -> dict[Partition, Outbox]:
        with self._changed:
            return {p: s for p, s in self._stores.items() if p not in self._leaving}
