"""One sink on a thread of its own, so that a receiver that is slow or dead delays no other."""

from __future__ import annotations

import math
import queue
import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import structlog

from detector.alerts import retry
from detector.protocols import Sink
from detector.telemetry.logs import Rarely
from detector.types import Attempt, OutboxEntry, Outcome, Partition, QueuedEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from detector.protocols import Clock

log = structlog.get_logger(__name__)

_SAID_AGAIN_AFTER = 60.0


class Item(NamedTuple):
    """An outbox entry and the partition whose store it came from."""

    partition: Partition
    queued: QueuedEntry

    @property
    def subject(self) -> str:
        """What it is about: items that share it keep their order."""
        return self.queued.entry.subject


class Concluded(NamedTuple):
    """What became of an item; `again` is when to try it again, in epoch seconds."""

    item: Item
    attempt: Attempt
    again: float


class DeliveryObserver(Protocol):
    """Who counts deliveries. Called on the threads of the delivery, so it must be thread-safe; must not raise."""

    def delivered(self, sink: str, code: str, seconds: float) -> None:
        """Count an attempt that is over, whatever came of it: `code` is an HTTP status, "ok", or a word."""

    def refused(self, sink: str, code: str) -> None:
        """Count an entry that will not be tried again: it is kept, marked, in the store."""

    def crashed(self, where: str) -> None:
        """Count an unexpected exception in a sink (its name) or in the delivery itself ("delivery")."""

    def collapsed(self, sink: str, entries: int) -> None:
        """Count entries that were dropped, as a later one told of the same incident."""

    def backlog(self, sink: str, entries: int, oldest: float) -> None:
        """Note what waits for a sink: how many entries, and the epoch seconds of the oldest (0 if none)."""


@runtime_checkable
class BulkSink(Sink, Protocol):
    """A sink that sends many entries in one go."""

    def deliver_all(self, entries: Sequence[tuple[OutboxEntry, int]]) -> list[Attempt]:
        """Try once to send entries in order; an attempt for each."""


@runtime_checkable
class ConcurrentSink(Sink, Protocol):
    """A sink that can have several calls under way."""

    @property
    def concurrency(self) -> int:
        """How many."""

    def deliver_together(self, entries: Sequence[tuple[OutboxEntry, int]]) -> list[Attempt]:
        """Try once to send so many entries at the same time, in no order; an attempt for each."""


@runtime_checkable
class PatientSink(Sink, Protocol):
    """A sink that gives entries up after another time than the others: `patience`, in seconds of their age."""

    patience: float


class Line:
    """Takes rounds of items, tries them in order, and reports what became of each; None = the round is over.

    Order: what is about one incident goes out one after the other, and not at all while an earlier one waits.

    Health: an entry that fails where the next one passes waits by itself, along the schedule. Where two in a row fail,
    or the receiver asks for time, the receiver is taken to be down: the round ends, the line pauses, and then begins
    again at the oldest entry, so that order is kept across an outage. The second one tried is the one tried least, so
    that no entry that a receiver cannot digest ever holds up the other incidents.

    The methods and attributes belong to the thread of the delivery, which leaves them alone during a round, but for
    `interrupt` and `stop`. `look` are the partitions whose outboxes may hold something that is due, `catching_up` says
    that all that waits is due, as the receiver was down: they are the delivery's own.
    """

    def __init__(
        self,
        sink: Sink,
        clock: Clock,
        observer: DeliveryObserver,
        jitter: Callable[[], float],
        report: Callable[[Line, Concluded | None], None],
    ) -> None:
        self.sink = sink
        self.collapse = bool(getattr(sink, "collapse", False))
        self.disabled = False
        self.look = set[Partition]()
        self.catching_up = False
        self.failed_rounds = 0
        self.paused_until = -math.inf
        self._clock = clock
        self._observer = observer
        self._jitter = jitter
        self._report = report
        self._bulk = sink if isinstance(sink, BulkSink) else None
        self._concurrent = sink if isinstance(sink, ConcurrentSink) else None
        self._patience = sink.patience if isinstance(sink, PatientSink) else retry.PATIENCE
        self._trouble = Rarely(log, clock.monotonic)
        self._silent_until = -math.inf
        self._rounds: queue.SimpleQueue[Sequence[Item] | None] = queue.SimpleQueue()
        self._interrupted = threading.Event()
        self.thread = threading.Thread(target=self._run, name=f"sink {sink.name}", daemon=True)
        self.thread.start()

    @property
    def down(self) -> bool:
        """Whether the last round ended in failure."""
        return self.failed_rounds > 0

    @property
    def resting(self) -> bool:
        """Whether the receiver is to be left alone for now."""
        return self.disabled or self._clock.monotonic() < self.paused_until

    def resume(self) -> None:
        """Leave the receiver alone no longer: all that waits is tried, due or not."""
        self.disabled = False
        self.paused_until = -math.inf
        self.failed_rounds = 0
        self.catching_up = True

    def give(self, items: Sequence[Item]) -> None:
        """Start a round; the one before must be done."""
        self._interrupted.clear()
        self._rounds.put(items)

    def interrupt(self) -> None:
        """End the round after the attempt that is under way."""
        self._interrupted.set()

    def stop(self) -> None:
        """End the thread after the attempt that is under way."""
        self.interrupt()
        self._rounds.put(None)

    def _run(self) -> None:
        while (items := self._rounds.get()) is not None:
            try:
                self._round(list(items))
            except Exception:  # a dead thread would be a sink that silently sends no alert ever again
                log.exception("delivery_crashed", sink=self.sink.name)
                self._observer.crashed(self.sink.name)
                self._rest(None)
            self._report(self, None)

    def _round(self, waiting: list[Item]) -> None:
        failures = 0
        while waiting and not self._interrupted.is_set():
            tried = self._try(self._next(waiting, probing=failures > 0))
            for item, attempt in tried:
                self._conclude(item, attempt)
                failures = failures + 1 if attempt.outcome is Outcome.RETRY else 0
            items, attempts = zip(*tried, strict=True)
            failed = {item.subject for item, attempt in tried if attempt.outcome is Outcome.RETRY}
            waiting = [item for item in waiting if item not in items and item.subject not in failed]
            gone = next((attempt for attempt in attempts if attempt.outcome is Outcome.GONE), None)
            if gone is not None:
                self._disable(gone)
                return
            asked = next((attempt for attempt in attempts if attempt.retry_after is not None), None)
            if failures > 1 or asked is not None or (failures and not waiting):
                self._rest(asked or attempts[-1])
                return
            if not failures:
                self._recover()

    def _next(self, waiting: Sequence[Item], *, probing: bool) -> list[Item]:
        """Return what to try next, at the same time: one, or as many as the sink takes in order or together."""
        if probing:
            firsts = {item.subject: item for item in reversed(waiting)}
            return [min(firsts.values(), key=lambda item: (item.queued.attempts, waiting.index(item)))]
        if self._bulk is not None:
            return list(waiting)
        together: list[Item] = []
        most = 1 if self._concurrent is None else self._concurrent.concurrency
        for item in waiting[:most]:
            if any(item.subject == other.subject for other in together):
                break
            together.append(item)
        return together

    def _try(self, items: list[Item]) -> list[tuple[Item, Attempt]]:
        started = self._clock.monotonic()
        entries = [(item.queued.entry, item.queued.attempts + 1) for item in items]
        try:
            if self._bulk is not None:
                attempts = self._bulk.deliver_all(entries)
            elif self._concurrent is not None:
                attempts = self._concurrent.deliver_together(entries)
            else:
                attempts = [self.sink.deliver(*entry) for entry in entries]
        except Exception as error:  # a sink should not raise; if it does, the alert must not be lost
            log.exception("sink_crashed", sink=self.sink.name, id=items[0].queued.entry.id)
            self._observer.crashed(self.sink.name)
            attempts = [Attempt(Outcome.RETRY, "internal", type(error).__name__)] * len(items)
        seconds = self._clock.monotonic() - started
        for attempt in attempts:
            self._observer.delivered(self.sink.name, attempt.code, seconds)
        return list(zip(items, attempts, strict=True))

    def _conclude(self, item: Item, tried: Attempt) -> None:
        attempt, again = retry.judge(item.queued, tried, self._clock.now(), self._jitter(), self._patience)
        if attempt.outcome is Outcome.REFUSED:
            self._observer.refused(self.sink.name, attempt.code)
            if self._clock.monotonic() >= self._silent_until:
                self._silent_until = self._clock.monotonic() + _SAID_AGAIN_AFTER
                log.error("delivery_refused", sink=self.sink.name, id=item.queued.entry.id, detail=attempt.detail)
        self._report(self, Concluded(item, attempt, again))

    def _disable(self, attempt: Attempt) -> None:
        self.disabled = True
        self._observer.refused(self.sink.name, attempt.code)
        log.error(
            "sink_disabled",
            sink=self.sink.name,
            detail=attempt.detail,
            advice="the receiver says that it is gone for good; alerts wait: mend it, then `detector outbox retry`",
        )

    def _rest(self, attempt: Attempt | None) -> None:
        self.failed_rounds += 1
        seconds = retry.pause(self.failed_rounds, attempt.retry_after if attempt else None, self._jitter())
        self.paused_until = self._clock.monotonic() + seconds
        if attempt is not None:
            self._trouble.say("receiver_down", sink=self.sink.name, code=attempt.code, detail=attempt.detail)

    def _recover(self) -> None:
        self._trouble.over("receiver_back", sink=self.sink.name)
        self.failed_rounds = 0
        self.paused_until = -math.inf
