"""An assignment that keeps what it was told, and answers what the test says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Event

from detector.protocols import Source
from detector.types import Batch, LogFacts, Partition, Position, Record


@dataclass
class RecordingAssignment:
    """`events` are ("assigned" | "revoked" | "lost", partition) in order; `facts` the last of each partition.

    `answers` are the positions to begin at (None, the configured start, where there is none); `judge` may raise.
    """

    answers: dict[Partition, Position] = field(default_factory=dict)
    judge: Callable[[Partition, LogFacts], None] = lambda _partition, _log: None
    on_revoked: Callable[[Partition], None] = lambda _partition: None
    events: list[tuple[str, Partition]] = field(default_factory=list)
    facts: dict[Partition, LogFacts] = field(default_factory=dict)
    owned: set[Partition] = field(default_factory=set)

    def assigned(self, partition: Partition, log: LogFacts) -> Position | None:
        assert partition not in self.owned, f"{partition} was assigned twice"
        self.facts[partition] = log
        self.judge(partition, log)
        self.events.append(("assigned", partition))
        self.owned.add(partition)
        return self.answers.get(partition)

    def revoked(self, partition: Partition) -> None:
        self.owned.remove(partition)
        self.events.append(("revoked", partition))
        self.on_revoked(partition)

    def lost(self, partition: Partition) -> None:
        self.owned.remove(partition)
        self.events.append(("lost", partition))

    def told(self, event: str) -> list[Partition]:
        """Return the partitions of one kind of event, in order."""
        return [partition for kind, partition in self.events if kind == event]


class Reader:
    """Polls a source and checks, batch by batch, what every source promises.

    `linger` makes it as slow as a pipeline with much to do: seconds after each poll.
    """

    def __init__(self, source: Source, assignment: RecordingAssignment | None = None) -> None:
        self.source = source
        self.assignment = assignment or RecordingAssignment()
        self.records: dict[Partition, list[Record]] = {}
        self.next: dict[Partition, int] = {}
        self.linger = 0.0
        source.start(self.assignment)

    def turn(self, timeout: float = 0.1) -> list[Batch]:
        """Poll once."""
        batches = list(self.source.poll(timeout))
        Event().wait(self.linger)
        for batch in batches:
            offsets = [record.offset for record in batch.records]
            assert batch.partition in self.assignment.owned, "a batch of a partition that is not owned"
            assert offsets == sorted(set(offsets)), "records out of order"
            assert not offsets or offsets[-1] < batch.next_offset, "the log goes on before the last record"
            self.records.setdefault(batch.partition, []).extend(batch.records)
            self.next[batch.partition] = batch.next_offset
        return batches

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
        """Poll until something is the case."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"polled {seconds:g} s in vain for {what}: {self.assignment.events}"
            self.turn()

    def read(self, count: int, seconds: float = 30.0) -> list[bytes | None]:
        """Poll until `count` records have come in all; return their values, by partition and offset."""
        self.until(lambda: self.count >= count, f"{count} records", seconds)
        return self.values

    @property
    def count(self) -> int:
        return sum(map(len, self.records.values()))

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for partition in sorted(self.records) for record in self.records[partition]]


def contents(records: Iterable[Record]) -> list[tuple[object, ...]]:
    """Return what must be the same when records are read again."""
    return [(r.offset, r.timestamp, r.key, r.value, tuple(r.headers)) for r in records]
