"""A log in memory, which several sources may share as the members of a group do: for tests and for embedding."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from detector.errors import LogChangedError
from detector.protocols import Assignment
from detector.types import Batch, LogFacts, Partition, PlainRecord, Position


class MemoryLog:
    """Partitions of records. Offsets may have gaps, as aborted transactions leave them."""

    def __init__(self, topic_id: str = "memory") -> None:
        self.topic_id = topic_id
        self.records: dict[Partition, list[PlainRecord]] = {}
        self.committed: dict[Partition, tuple[int, str]] = {}
        self.earliest: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}

    def append(
        self,
        partition: Partition,
        *values: bytes | None,
        timestamp: int = 0,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes]] = (),
    ) -> None:
        """Add records at the end."""
        log = self.records.setdefault(partition, [])
        for value in values:
            log.append(PlainRecord(self.end(partition), timestamp, key, value, headers))
            self.skip(partition)

    def skip(self, partition: Partition, offsets: int = 1) -> None:
        """Let the log go on `offsets` later."""
        self._ends[partition] = self.end(partition) + offsets

    def truncate(self, partition: Partition, before: int) -> None:
        """Delete the records below an offset."""
        self.earliest[partition] = before
        self.records[partition] = [r for r in self.records.get(partition, []) if r.offset >= before]

    def end(self, partition: Partition) -> int:
        """Return the offset behind the last record."""
        return self._ends.get(partition, 0)

    def facts(self, partition: Partition) -> LogFacts:
        """Return what a member learns when it takes the partition over."""
        offset, store = self.committed.get(partition, (None, ""))
        earliest = self.earliest.get(partition, 0)
        return LogFacts(self.topic_id, earliest, self.end(partition), offset, store, earliest, max(len(self._ends), 1))


class MemorySource:
    """One member: it owns the partitions that `give` gave it. See `protocols.Source`.

    Ownership changes are told inside the next `poll`, as Kafka does it. With `random`, each poll hands out a batch of
    a random size from some of the partitions. After `finish` the source is exhausted once everything is handed out.
    """

    def __init__(self, log: MemoryLog, *, most: int = 1000, random: Random | None = None) -> None:
        self._log = log
        self._most = most
        self._random = random
        self._assignment: Assignment | None = None
        self._next: dict[Partition, int] = {}
        self._changes: list[tuple[str, Partition]] = []
        self._paused = False
        self._finished = False

    def give(self, *partitions: Partition) -> None:
        """Assign partitions."""
        self._changes += [("give", partition) for partition in partitions]

    def take(self, *partitions: Partition) -> None:
        """Revoke partitions in order."""
        self._changes += [("take", partition) for partition in partitions]

    def lose(self, *partitions: Partition) -> None:
        """Let another member have partitions without a word."""
        self._changes += [("lose", partition) for partition in partitions]

    def finish(self) -> None:
        """Say that nothing will be appended any more."""
        self._finished = True

    @property
    def exhausted(self) -> bool:
        """True after `finish`, once all records of all owned partitions were handed out."""
        return (
            self._finished
            and not self._changes
            and all(offset >= self._log.end(partition) for partition, offset in self._next.items())
        )

    @property
    def replayable(self) -> bool:
        """A log can be read again."""
        return True

    def start(self, assignment: Assignment) -> None:
        """Remember whom to tell."""
        self._assignment = assignment

    def poll(self, timeout: float) -> Sequence[Batch]:  # noqa: ARG002 - nothing arrives while one waits
        """Tell of ownership changes, then hand out records."""
        while self._changes:
            self._tell(*self._changes[0])
            self._changes.pop(0)
        return [] if self._paused else [batch for p in sorted(self._next) if (batch := self._batch(p))]

    def pause(self) -> None:
        """Hand out no more records."""
        self._paused = True

    def resume(self) -> None:
        """Undo `pause`."""
        self._paused = False

    def commit(self, positions: dict[Partition, Position], store_id: str) -> None:
        """Keep the offsets in the log."""
        self._log.committed |= {partition: (position.offset, store_id) for partition, position in positions.items()}

    def close(self) -> None:
        """Revoke what is owned. Closing twice is harmless."""
        assert self._assignment is not None
        while self._next:
            partition = min(self._next)
            del self._next[partition]
            self._assignment.revoked(partition)

    def _tell(self, change: str, partition: Partition) -> None:
        assert self._assignment is not None
        if change == "give":
            facts = self._log.facts(partition)
            position = self._assignment.assigned(partition, facts)
            offset = facts.earliest if position is None else position.offset
            if not facts.earliest <= offset <= facts.end:
                self._assignment.revoked(partition)
                message = f"{partition}: offset {offset} is not in the log, which holds {facts.earliest} to {facts.end}"
                raise LogChangedError(message)
            self._next[partition] = offset
        elif self._next.pop(partition, None) is not None:
            (self._assignment.revoked if change == "take" else self._assignment.lost)(partition)

    def _batch(self, partition: Partition) -> Batch | None:
        ahead = [r for r in self._log.records.get(partition, []) if r.offset >= self._next[partition]]
        size = self._most if self._random is None else self._random.randint(0, self._most)
        records = ahead[:size]
        end = self._log.end(partition)
        if not records:
            if not ahead:
                self._next[partition] = end
            return None
        self._next[partition] = end if len(records) == len(ahead) else records[-1].offset + 1
        return Batch(partition, records, self._next[partition], end)
