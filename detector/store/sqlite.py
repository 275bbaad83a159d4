"""The store on disk: a folder with one SQLite file a partition."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from detector.store import controls, folder, outbox, schema
from detector.store import events as kept_events
from detector.store import slots as slot_rows
from detector.store.connection import Connection, damaged
from detector.store.lock import FileLock
from detector.types import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from detector.types import (
        Attempt,
        Checkpoint,
        ControlRecord,
        DeadLetter,
        KeptEvents,
        OutboxEntry,
        Partition,
        QueuedEntry,
        SlotState,
    )

_WRITER_AUTOCHECKPOINT = 500
"""Pages after which a commit of the writer's moves the WAL into the file: few enough to take about 10 ms."""
_WRITER_CACHE_KIB = 16384


class SqliteStore:
    """The folder at `path`, made with a random id if absent. Implements `protocols.Store`.

    `keep_rejects` bounds each partition's dead letters, and the outbox entries that were given up; `keep_events` its
    kept events. `now` is the clock that outbox entries are stamped by. Raises StoreFullError, StoreDamagedError,
    StoreNewerError, StoreOlderError, StoreError.
    """

    def __init__(
        self, path: Path, *, keep_rejects: int, keep_events: int = 10_000, now: Callable[[], float] = time.time
    ) -> None:
        folder.make(path)
        self._path = path
        self._id = folder.read_id(path)
        self._keep_rejects = keep_rejects
        self._keep_events = keep_events
        self._now = now

    @property
    def id(self) -> str:
        """A random id, made once."""
        return self._id

    def open(self, partition: Partition) -> SqlitePartition:
        """Open or create a partition's file and lock it; raises as `protocols.Store.open` says."""
        return SqlitePartition(
            folder.partition_file(self._path, partition),
            partition,
            keep_rejects=self._keep_rejects,
            keep_events=self._keep_events,
            now=self._now,
        )

    def partitions(self) -> list[Partition]:
        """All partitions that have a file here, sorted."""
        return folder.partitions(self._path)


class SqlitePartition:
    """One partition's file. Implements `protocols.PartitionStore`, which says what thread calls what.

    Each of the three threads has a connection. Writing ones take turns by a lock; each transaction is short, and
    `close` waits for those under way. A call after `close` raises StoreError.
    """

    def __init__(
        self, file: Path, partition: Partition, *, keep_rejects: int, keep_events: int, now: Callable[[], float]
    ) -> None:
        self._file = file
        self._keep_events = keep_events
        self._keep_rejects = keep_rejects
        self._now = now
        self._ids = slot_rows.Ids()
        self._turn = threading.Lock()
        with contextlib.ExitStack() as undo:
            with folder.explained(file):
                file.parent.mkdir(exist_ok=True)
                self._lock = FileLock(file.with_suffix(".lock"))
            undo.callback(self._lock.close)
            self._writer = Connection(
                file, self._turn, autocheckpoint=_WRITER_AUTOCHECKPOINT, cache_kib=_WRITER_CACHE_KIB
            )
            undo.callback(self._writer.close)
            self._head = self._prepare(partition)
            self._main = Connection(file, self._turn)
            undo.callback(self._main.close)
            self._delivery = Connection(file, self._turn)
            undo.pop_all()

    def _prepare(self, partition: Partition) -> schema.Head:
        """Create what is missing, check what is there, and clear away what a crash left staged."""
        with self._writer.reading() as sqlite:
            empty = schema.is_empty(sqlite)
        if empty:
            with self._writer.writing() as sqlite:
                schema.create(sqlite, partition)
            with folder.explained(self._file):
                folder.sync(self._file.parent)
                folder.sync(self._file.parent.parent)
        with self._writer.reading() as sqlite:
            schema.check_format(sqlite, self._file)
            head = schema.read_head(sqlite, self._file)
        if head.partition != partition:
            raise damaged(self._file, f"it is the store of {head.partition}, not of {partition}")
        with self._writer.reading() as sqlite:
            complete = kept_events.exist(sqlite)
        if not complete:
            with self._writer.writing() as sqlite:
                sqlite.execute(kept_events.TABLES)
        if head.staging:
            cleared = replace(head, staging=0)
            with self._writer.writing() as sqlite:
                slot_rows.unstage(sqlite, head.generation)
                schema.write_head(sqlite, cleared)
            head = cleared
        with self._writer.reading() as sqlite:
            self._ids.load(sqlite, self._file)
        return head

    @property
    def partition(self) -> Partition:
        """Whose store it is."""
        return self._head.partition

    # --- main thread

    def checkpoint(self) -> Checkpoint | None:
        """Return the last complete checkpoint."""
        with self._main.reading() as sqlite:
            return schema.read_checkpoint(sqlite, self._file)

    def alerts_through(self) -> tuple[Position, int]:
        """Return up to where alerts are complete, and that block's number."""
        with self._main.reading() as sqlite:
            head = schema.read_head(sqlite, self._file)
        return head.through, head.through_block

    def directory(self) -> Iterator[tuple[str, float]]:
        """Yield (entity, last_seen) in entity order, as of the checkpoint current at the first."""
        # A connection of its own, since the caller may do other things between two entries.
        with contextlib.closing(Connection(self._file, self._turn)) as own, own.reading() as sqlite:
            yield from slot_rows.directory(sqlite, schema.read_head(sqlite, self._file).generation)

    def heads(self, length: int) -> Iterator[tuple[str, bytes]]:
        """Yield (entity, first bytes of its state) in entity order, as of the checkpoint current at the first."""
        with contextlib.closing(Connection(self._file, self._turn)) as own, own.reading() as sqlite:
            yield from slot_rows.heads(sqlite, schema.read_head(sqlite, self._file).generation, length)

    def read_slots(self, entities: Sequence[str]) -> dict[str, bytes]:
        """Return the states of those entities as of the last complete checkpoint."""
        with self._main.reading() as sqlite:
            return slot_rows.read(
                sqlite, self._file, self._ids.known(entities), schema.read_head(sqlite, self._file).generation
            )

    def controls(self) -> list[ControlRecord]:
        """Return all control records in the order they were added."""
        with self._main.reading() as sqlite:
            return controls.read(sqlite, self._file)

    def add_control(self, control: ControlRecord) -> None:
        """Append a control record, durably."""
        with self._main.writing() as sqlite:
            controls.add(sqlite, control)

    def start_over(self, *, keep_state: bool) -> None:
        """Begin another log: alerts are complete to nowhere; without `keep_state` the state goes too.

        The state is the checkpoint, the slots and the control records; outbox and dead letters stay in any case.
        Called on the main thread while the writer has nothing of this partition.
        """
        with self._main.writing() as sqlite:
            head = replace(self._head, through_offset=0, through_row=0, through_block=0)
            if not keep_state:
                head = replace(head, staging=0)
                for table in ("checkpoint", "slot", "old", "control", "event"):
                    sqlite.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant
            schema.write_head(sqlite, head)
        self._head = head
        if not keep_state:
            self._ids.clear()

    def dead_letters(self) -> list[DeadLetter]:
        """Return the dead letters kept, oldest first."""
        with self._main.reading() as sqlite:
            return outbox.dead_letters(sqlite, self._file, self.partition)

    # --- writer's thread

    def write_slots(self, slots: Iterable[SlotState]) -> int:
        """Stage changed slots; returns bytes written. One short transaction, durable when the checkpoint is."""
        head = replace(self._head, staging=1)
        with self._writer.staging() as sqlite:
            if head != self._head:
                schema.write_head(sqlite, head)
            written = self._ids.stage(sqlite, slots, head.generation + 1)
        self._head = head
        return written

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
        head = replace(self._head, staging=0, generation=self._head.generation + 1)
        with self._writer.writing() as sqlite:
            slot_rows.delete(sqlite, self._ids.known(forgotten))
            schema.write_checkpoint(sqlite, checkpoint)
            schema.write_head(sqlite, head)
            outbox.keep_rejects(sqlite, rejects, self._keep_rejects)
            outbox.add(sqlite, entries, self._now())
            kept_events.add(sqlite, events)
            kept_events.prune(sqlite, self._keep_events)
            controls.drop(sqlite, spent)
        self._head = head
        self._ids.drop(forgotten)
        return (
            len(checkpoint.header)
            + sum(len(reject.value or b"") + len(reject.key or b"") for reject in rejects)
            + sum(len(entry.body) for entry in entries)
            + sum(len(each.body) for each in events)
        )

    def commit_alerts(
        self, entries: Sequence[OutboxEntry], through: Position, block: int, events: Sequence[KeptEvents] = ()
    ) -> None:
        """Add alerts to the outbox, move `alerts_through` forward and keep events, in one transaction."""
        head = self._head
        if through > head.through:
            head = replace(head, through_offset=through.offset, through_row=through.row, through_block=block)
        with self._writer.writing() as sqlite:
            outbox.add(sqlite, entries, self._now())
            kept_events.add(sqlite, events)
            if head != self._head:
                schema.write_head(sqlite, head)
        self._head = head

    # --- delivery thread

    def due(self, sink: str, now: float, limit: int) -> list[QueuedEntry]:
        """Return the oldest undelivered entries of a sink that are due."""
        with self._delivery.reading() as sqlite:
            return outbox.due(sqlite, self._file, sink, now, limit)

    def collapse(self, sink: str) -> int:
        """Drop what a later message of its subject makes superfluous; returns how many."""
        with self._delivery.writing() as sqlite:
            return outbox.collapse(sqlite, sink)

    def settle(self, results: Sequence[tuple[QueuedEntry, Attempt, float]]) -> None:
        """Write what became of entries; those given up are kept up to `keep_rejects`."""
        with self._delivery.writing() as sqlite:
            outbox.settle(sqlite, results, self._keep_rejects)

    def backlog(self) -> dict[str, tuple[int, float, int]]:
        """Return per sink: entries, created time of the oldest, bytes."""
        with self._delivery.reading() as sqlite:
            return outbox.backlog(sqlite)

    def close(self) -> None:
        """Wait for calls under way, close and unlock. Closing twice is harmless."""
        with contextlib.ExitStack() as steps:
            steps.callback(self._lock.close)
            for connection in (self._writer, self._main, self._delivery):
                steps.callback(connection.close)
