"""The store in memory: for tests, where a restart is a second `open` on the same object."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING

from detector.errors import StoreError, StoreLockedError
from detector.types import Attempt, Outcome, Position, QueuedEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from detector.types import Checkpoint, ControlRecord, DeadLetter, KeptEvents, OutboxEntry, Partition, SlotState


@dataclass
class _Kept:
    """What a partition's file would hold."""

    checkpoint: Checkpoint | None = None
    through: Position = field(default_factory=lambda: Position(0))
    through_block: int = 0
    slots: dict[str, SlotState] = field(default_factory=dict)
    controls: list[ControlRecord] = field(default_factory=list)
    rejects: list[DeadLetter] = field(default_factory=list)
    events: list[KeptEvents] = field(default_factory=list)
    sequence: int = 0
    queued: dict[tuple[str, str], QueuedEntry] = field(default_factory=dict)
    given_up: dict[tuple[str, str], QueuedEntry] = field(default_factory=dict)


class MemoryStore:
    """Implements `protocols.Store`; parameters as of SqliteStore."""

    def __init__(self, *, keep_rejects: int, now: Callable[[], float] = time.time) -> None:
        self._id = secrets.token_hex(8)
        self._keep_rejects = keep_rejects
        self._now = now
        self._kept: dict[Partition, _Kept] = {}
        self._open: dict[Partition, MemoryPartition] = {}

    @property
    def id(self) -> str:
        """A random id, made once."""
        return self._id

    def open(self, partition: Partition) -> MemoryPartition:
        """Open or create a partition; StoreLockedError while it is open already."""
        if partition in self._open:
            message = f"{partition}: this partition's store is in use by this process. Close it first."
            raise StoreLockedError(message)
        kept = self._kept.setdefault(partition, _Kept())
        store = MemoryPartition(partition, kept, self._open, keep_rejects=self._keep_rejects, now=self._now)
        self._open[partition] = store
        return store

    def partitions(self) -> list[Partition]:
        """All partitions that were ever opened, sorted."""
        return sorted(self._kept)

    def crash(self) -> None:
        """Do what the death of the process does to the file: open partitions are unlocked, staged slots are gone."""
        for store in list(self._open.values()):
            store.close()


class MemoryPartition:
    """Implements `protocols.PartitionStore`."""

    def __init__(
        self,
        partition: Partition,
        kept: _Kept,
        open_partitions: dict[Partition, MemoryPartition],
        *,
        keep_rejects: int,
        now: Callable[[], float],
    ) -> None:
        self._partition = partition
        self._kept: _Kept | None = kept
        self._staged: dict[str, SlotState] = {}
        self._open = open_partitions
        self._keep_rejects = keep_rejects
        self._now = now
        self._lock = RLock()

    @property
    def _now_kept(self) -> _Kept:
        if self._kept is None:
            message = f"{self._partition}: the store was closed"
            raise StoreError(message)
        return self._kept

    @property
    def partition(self) -> Partition:
        """Whose store it is."""
        return self._partition

    def checkpoint(self) -> Checkpoint | None:
        """Return the last complete checkpoint."""
        with self._lock:
            return self._now_kept.checkpoint

    def alerts_through(self) -> tuple[Position, int]:
        """Return up to where alerts are complete, and that block's number."""
        with self._lock:
            return self._now_kept.through, self._now_kept.through_block

    def directory(self) -> Iterator[tuple[str, float]]:
        """Yield (entity, last_seen) in entity order."""
        with self._lock:
            found = sorted((slot.entity, slot.last_seen) for slot in self._now_kept.slots.values())
        yield from found

    def heads(self, length: int) -> Iterator[tuple[str, bytes]]:
        """Yield (entity, first bytes of its state) in entity order."""
        with self._lock:
            found = sorted((slot.entity, slot.state[:length]) for slot in self._now_kept.slots.values())
        yield from found

    def read_slots(self, entities: Sequence[str]) -> dict[str, bytes]:
        """Return the states of those entities as of the last complete checkpoint."""
        with self._lock:
            known = self._now_kept.slots
            return {entity: known[entity].state for entity in entities if entity in known}

    def controls(self) -> list[ControlRecord]:
        """Return all control records in the order they were added."""
        with self._lock:
            return list(self._now_kept.controls)

    def add_control(self, control: ControlRecord) -> None:
        """Append a control record."""
        with self._lock:
            self._now_kept.controls.append(control)

    def start_over(self, *, keep_state: bool) -> None:
        """Begin another log: alerts are complete to nowhere; without `keep_state` the state goes too.

        The state is the checkpoint, the slots and the control records; outbox and dead letters stay in any case.
        Called on the main thread while the writer has nothing of this partition.
        """
        with self._lock:
            kept = self._now_kept
            kept.through, kept.through_block = Position(0), 0
            if not keep_state:
                kept.checkpoint = None
                kept.slots.clear()
                kept.controls.clear()
                kept.events.clear()
                self._staged.clear()

    def dead_letters(self) -> list[DeadLetter]:
        """Return the dead letters kept, oldest first."""
        with self._lock:
            return list(self._now_kept.rejects)

    def kept_events(self) -> list[KeptEvents]:
        """Return the events kept, as they were added."""
        with self._lock:
            return list(self._now_kept.events)

    def write_slots(self, slots: Iterable[SlotState]) -> int:
        """Stage changed slots; returns bytes written."""
        chunk = list(slots)
        with self._lock:
            assert self._now_kept is self._kept
            self._staged.update((slot.entity, slot) for slot in chunk)
        return sum(len(slot.entity) + len(slot.state) for slot in chunk)

    def commit_checkpoint(  # noqa: PLR0913, PLR0917 - what a checkpoint consists of
        self,
        checkpoint: Checkpoint,
        forgotten: Sequence[str],
        rejects: Sequence[DeadLetter],
        entries: Sequence[OutboxEntry],
        events: Sequence[KeptEvents] = (),
        spent: Sequence[int] = (),
    ) -> int:
        """Make the staged slots and `checkpoint` current; returns bytes written.

        A forgotten entity's slot goes, staged or not, and so do the control records at the places `spent`.
        """
        with self._lock:
            kept = self._now_kept
            kept.slots.update(self._staged)
            self._staged.clear()
            for entity in forgotten:
                kept.slots.pop(entity, None)
            kept.checkpoint = checkpoint
            kept.rejects = [*kept.rejects, *rejects][-self._keep_rejects :]
            self._add(entries)
            kept.events += events
            gone = set(spent)
            kept.controls = [record for place, record in enumerate(kept.controls) if place not in gone]
        return (
            len(checkpoint.header)
            + sum(len(reject.value or b"") + len(reject.key or b"") for reject in rejects)
            + sum(len(entry.body) for entry in entries)
            + sum(len(each.body) for each in events)
        )

    def commit_alerts(
        self, entries: Sequence[OutboxEntry], through: Position, block: int, events: Sequence[KeptEvents] = ()
    ) -> None:
        """Add alerts to the outbox, move `alerts_through` forward and keep events."""
        with self._lock:
            kept = self._now_kept
            self._add(entries)
            kept.events += events
            if through > kept.through:
                kept.through, kept.through_block = through, block

    def _add(self, entries: Sequence[OutboxEntry]) -> None:
        kept = self._now_kept
        created = self._now()
        for entry in entries:
            key = (entry.sink, entry.id)
            if key not in kept.queued and key not in kept.given_up:
                kept.sequence += 1
                kept.queued[key] = QueuedEntry(kept.sequence, entry, created, 0, 0.0)

    def due(self, sink: str, now: float, limit: int) -> list[QueuedEntry]:
        """Return the oldest undelivered entries of a sink that are due."""
        with self._lock:
            queued = [queue for queue in self._now_kept.queued.values() if queue.entry.sink == sink]
            held = {
                queue.entry.subject: queue.sequence for queue in reversed(queued) if queue.due > now
            }  # the first of each subject that is not due
            return [
                queue
                for queue in queued
                if queue.due <= now and queue.sequence < held.get(queue.entry.subject, queue.sequence + 1)
            ][:limit]

    def collapse(self, sink: str) -> int:
        """Drop what a later message of its subject makes superfluous; returns how many."""
        with self._lock:
            kept = self._now_kept.queued
            last = {queue.entry.subject: queue.sequence for queue in kept.values() if queue.entry.sink == sink}
            dropped = [
                key
                for key, queue in kept.items()
                if key[0] == sink and "-g" not in queue.entry.id and queue.sequence < last[queue.entry.subject]
            ]
            for key in dropped:
                del kept[key]
            return len(dropped)

    def settle(self, results: Sequence[tuple[QueuedEntry, Attempt, float]]) -> None:
        """Write what became of entries; those given up are kept up to `keep_rejects`."""
        with self._lock:
            kept = self._now_kept
            for settled, attempt, again in results:
                key = (settled.entry.sink, settled.entry.id)
                queued = kept.queued.get(key)
                if queued is None or queued.sequence != settled.sequence:
                    continue
                if attempt.outcome is Outcome.RETRY:
                    kept.queued[key] = queued._replace(attempts=queued.attempts + 1, due=again)
                    continue
                del kept.queued[key]
                if attempt.outcome is not Outcome.DELIVERED:
                    kept.given_up[key] = queued._replace(attempts=queued.attempts + 1)
            while len(kept.given_up) > self._keep_rejects:
                del kept.given_up[min(kept.given_up, key=lambda key: kept.given_up[key].sequence)]

    def backlog(self) -> dict[str, tuple[int, float, int]]:
        """Return per sink: entries, created time of the oldest, bytes."""
        with self._lock:
            totals: dict[str, tuple[int, float, int]] = {}
            for queued in self._now_kept.queued.values():
                entries, oldest, size = totals.get(queued.entry.sink, (0, queued.created, 0))
                totals[queued.entry.sink] = (entries + 1, oldest, size + len(queued.entry.body))
            return totals

    def close(self) -> None:
        """Drop what is staged and unlock. Closing twice is harmless."""
        with self._lock:
            if self._kept is not None:
                self._kept = None
                self._staged.clear()
                del self._open[self._partition]
