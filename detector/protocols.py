"""What each part may ask of the others. `app.py` decides which classes stand behind these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from detector.types import (
    Attempt,
    Batch,
    Checkpoint,
    ControlRecord,
    DeadLetter,
    Decoded,
    KeptEvents,
    LogFacts,
    OutboxEntry,
    Partition,
    Position,
    QueuedEntry,
    Record,
    SlotState,
)


class Clock(Protocol):
    """Wall clock and monotonic clock, so that tests can turn them."""

    def now(self) -> float:
        """Epoch seconds."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""


class Prepared(NamedTuple):
    """A part's share in a reload, ready: neither of the two raises anything.

    discard  undoes what was made for it, where nothing comes of the reload
    changed  paths of what differs though the file reads the same: of what stands in files of their own
    """

    apply: Callable[[], None]
    discard: Callable[[], None] = lambda: None
    changed: Sequence[str] = ()


class Assignment(Protocol):
    """Who owns partitions is told to this: the source calls it inside `poll`, on the main thread."""

    def assigned(self, partition: Partition, log: LogFacts) -> Position | None:
        """Take the partition over; answer where to read on, or None for the configured start.

        Raises LogChangedError where the log is not the one that the checkpoint knows; the source lets it through
        `poll` to the caller.
        """

    def revoked(self, partition: Partition) -> None:
        """Give the partition up in order: checkpoint, commit, close. The source still owns it during the call."""

    def lost(self, partition: Partition) -> None:
        """Drop the partition without writing: it is already another's."""


class Source(Protocol):
    """Where records come from. All calls are made on the main thread.

    A source that cannot reach its log raises SourceUnavailableError from `poll` (and may be polled again: it
    reconnects by itself); what only the operator can decide raises LogChangedError.
    """

    def start(self, assignment: Assignment) -> None:
        """Subscribe. Partitions arrive through `assignment`, at the earliest inside the first `poll`."""

    def poll(self, timeout: float) -> Sequence[Batch]:
        """Return what has arrived, in log order per partition, waiting at most `timeout` seconds for the first."""

    def pause(self) -> None:
        """Hand out no more records, but go on polling to stay a member (back-pressure)."""

    def resume(self) -> None:
        """Undo `pause`."""

    def commit(self, positions: dict[Partition, Position], store_id: str) -> None:
        """Tell the log how far the checkpoints are (offset = next offset); never blocks for long, never raises."""

    @property
    def exhausted(self) -> bool:
        """True when nothing more will ever come (a file read to its end)."""

    @property
    def replayable(self) -> bool:
        """True when `assigned` may answer an earlier position and gets the same records again."""

    def close(self) -> None:
        """Leave the group; revokes what is still owned first."""


@runtime_checkable
class AskingSource(Source, Protocol):
    """A source that has to be asked for records, and answers after a while."""

    def ask(self) -> None:
        """Ask for what the next `poll` is to return: nearly all that the last one has returned is taken."""


class Decoder(Protocol):
    """Turns records into rows. A pure function of the records' bytes and of its configuration."""

    def decode(self, records: Sequence[Record]) -> Decoded:
        """Decode records in order. Never raises for what a record holds: it becomes a Reject."""


class Outbox(Protocol):
    """What waits for its delivery: a partition's, or notification's. All but `partition` is the delivery thread's."""

    @property
    def partition(self) -> Partition:
        """Whose it is; no two of one delivery have the same."""

    def due(self, sink: str, now: float, limit: int) -> list[QueuedEntry]:
        """Return the oldest undelivered entries of a sink that are due, oldest first.

        One that is behind an earlier one of its subject that is not due yet waits for it.
        """

    def collapse(self, sink: str) -> int:
        """Drop the undelivered entries of a sink of whose subject there is a later one; returns how many."""

    def settle(self, results: Sequence[tuple[QueuedEntry, Attempt, float]]) -> None:
        """Write what became of entries; the float is when to try again (used for Outcome.RETRY alone).

        DELIVERED entries leave the outbox; REFUSED and GONE ones are kept, marked, and not due again.
        """

    def backlog(self) -> dict[str, tuple[int, float, int]]:
        """Per sink: number of undelivered entries, created time of the oldest (0 if none), bytes of their bodies."""


class PartitionStore(Outbox, Protocol):
    """One partition's state on disk, held under a lock until `close`.

    Called from three threads: reads and `add_control` on the main thread; `write_slots`, `commit_checkpoint` and
    `commit_alerts` on the writer's; the outbox calls on the delivery thread. Every writing call but `write_slots` is
    durable when it returns, and each raises StoreFullError where there is no room.
    """

    @property
    def partition(self) -> Partition:
        """Whose store it is."""

    # --- read on the main thread, at start and when an entity returns
    def checkpoint(self) -> Checkpoint | None:
        """Return the last complete checkpoint; StoreDamagedError where its checksum fails."""

    def alerts_through(self) -> tuple[Position, int]:
        """Up to where alerts are complete (exclusive), and the number of that block; ((0, 0), 0) at first."""

    def directory(self) -> Iterator[tuple[str, float]]:
        """Yield (entity, last_seen) of every slot of the last complete checkpoint, in entity order."""

    def heads(self, length: int) -> Iterator[tuple[str, bytes]]:
        """Yield (entity, first `length` bytes of its state) of those slots, in the same order."""

    def read_slots(self, entities: Sequence[str]) -> dict[str, bytes]:
        """Return the state of those entities as of the last complete checkpoint; unknown ones are left out."""

    def controls(self) -> list[ControlRecord]:
        """Return all control records in the order they were added."""

    def add_control(self, control: ControlRecord) -> None:
        """Append a control record, durably."""

    def start_over(self, *, keep_state: bool) -> None:
        """Begin another log: `alerts_through` goes back to its start; without `keep_state` the state goes too.

        The state is the checkpoint, the slots and the control records; outbox and dead letters stay in any case.
        Called at start, before the writer has anything of this partition.
        """

    # --- write on the writer's thread
    def write_slots(self, slots: Iterable[SlotState]) -> int:
        """Stage changed slots for the next `commit_checkpoint`; returns bytes written.

        Staged slots are invisible to reads, and gone after a crash, until `commit_checkpoint`, which makes them durable
        too. One call is one short transaction, so that alert commits fit in between.
        """

    def commit_checkpoint(  # noqa: PLR0913, PLR0917 - what a checkpoint consists of
        self,
        checkpoint: Checkpoint,
        forgotten: Sequence[str],
        rejects: Sequence[DeadLetter],
        entries: Sequence[OutboxEntry],
        events: Sequence[KeptEvents] = (),
        spent: Sequence[int] = (),
    ) -> int:
        """Make the staged slots and `checkpoint` current in one transaction; returns bytes written.

        Also deletes the slots of `forgotten` entities, keeps `rejects` in the dead-letter table and `events` for those
        who ask of them (both bounded: oldest leave first), adds outbox `entries` (dead letters for a topic), and drops
        the control records at the places `spent` of `controls()`.
        """

    def commit_alerts(
        self, entries: Sequence[OutboxEntry], through: Position, block: int, events: Sequence[KeptEvents] = ()
    ) -> None:
        """Add alerts to the outbox, move `alerts_through` and keep `events`, in one transaction."""

    def close(self) -> None:
        """Close and unlock. Closing twice is harmless."""


class Store(Protocol):
    """The folder that holds the partitions' stores."""

    @property
    def id(self) -> str:
        """A random id of this store, made once: it marks offsets committed to Kafka as this store's."""

    def open(self, partition: Partition) -> PartitionStore:
        """Open or create.

        StoreLockedError, StoreDamagedError, StoreNewerError, StoreOlderError, StoreFullError as the case may be.
        """

    def partitions(self) -> list[Partition]:
        """All partitions that have a store here, sorted."""


class Sink(Protocol):
    """A way out. Called on the delivery thread; must bound its own time."""

    @property
    def name(self) -> str:
        """Its name in the configuration, the outbox, metrics and logs."""

    def deliver(self, entry: OutboxEntry, attempt: int) -> Attempt:
        """Try once to send one entry; never raises for what a receiver does."""

    def close(self) -> None:
        """Let go of connections. Called once, on the delivery thread."""
