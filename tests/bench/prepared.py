"""The daemon's own parts from the pipeline to the store on disk, fed with prepared rows instead of a log's records."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from detector.alerts.raising import Raising
from detector.app import Models
from detector.config.detection import Detection
from detector.observing import Observing
from detector.owned import Owned
from detector.ownership import Ownership
from detector.pipeline import Pipeline
from detector.protocols import Assignment, PartitionStore
from detector.service import collecting_rarely
from detector.store.sqlite import SqliteStore
from detector.store.writer import Finished, Writer
from detector.telemetry.clock import SystemClock
from detector.telemetry.metrics import Metrics
from detector.types import Batch, Decoded, Int64, LogFacts, Partition, PlainRecord, Position, Record, Rows

PARTITION = Partition("bench", 0)
_EVENTS_PER_SECOND = 10_000
"""Of event time: a block is full long before its tick ends."""


class Traffic:
    """Rows of normal numbers in log order: one record a call."""

    def __init__(self, names: Sequence[str], features: int) -> None:
        self._names = names
        self._random = np.random.default_rng(0)
        self._values = self._random.normal(size=(1 << 16, features))
        self._offset = 0
        self._time = time.time()

    def of(self, numbers: Int64) -> Rows:
        """Return a row of each of those entities, in order."""
        n = len(numbers)
        first = int(self._random.integers(0, len(self._values) - n))
        times = self._time + np.arange(1, n + 1) / _EVENTS_PER_SECOND
        offsets = np.full(n, self._offset, np.int64)
        self._offset, self._time = self._offset + 1, float(times[-1])
        entities = [self._names[number] for number in numbers.tolist()]
        return Rows(offsets, np.arange(n, dtype=np.int32), times, self._values[first : first + n], entities)

    def drawn(self, n: int) -> Rows:
        """Return rows of entities drawn evenly."""
        return self.of(self._random.integers(0, len(self._names), n))


class Prepared:
    """A source of one record at a time, and a decoder that knows its rows."""

    exhausted = False
    replayable = True

    def __init__(self) -> None:
        self._rows: Rows | None = None
        self._known: Rows | None = None

    def give(self, rows: Rows) -> None:
        """Let the next poll return those."""
        self._rows = rows

    def start(self, assignment: Assignment) -> None:
        """Nothing comes by itself."""

    def poll(self, timeout: float) -> Sequence[Batch]:  # noqa: ARG002 - nothing arrives while one waits
        if self._rows is None:
            return []
        self._known, self._rows = self._rows, None
        offset = int(self._known.offsets[0])
        return [Batch(PARTITION, [PlainRecord(offset, round(time.time() * 1000), None, b"")], offset + 1)]

    def decode(self, records: Sequence[Record]) -> Decoded:
        assert self._known is not None
        assert [record.offset for record in records] == [int(self._known.offsets[0])]
        return Decoded(self._known)

    def pause(self) -> None:
        """Nothing comes by itself."""

    def resume(self) -> None:
        """Nothing comes by itself."""

    def commit(self, positions: dict[Partition, Position], store_id: str) -> None:
        """There is no log to tell."""

    def close(self) -> None:
        """There is nothing to leave."""


class _Watching(Observing):
    """Keeps the checkpoints that became durable."""

    def __init__(self) -> None:
        super().__init__(Metrics())
        self.finished: list[Finished] = []

    def saved(self, owned: Owned, finished: Finished, evicted: int) -> None:
        super().saved(owned, finished, evicted)
        self.finished.append(finished)


class _NoOutboxes:
    def attach(self, store: PartitionStore) -> None:
        """Alerts stay in the outbox."""

    def detach(self, partition: Partition) -> None:
        """Nothing was attached."""


class Worker:
    """Owns the one partition. `models` may be shared, so that a second worker need not compile again."""

    def __init__(self, folder: Path, detection: Detection, models: Models) -> None:
        self._source = Prepared()
        self._watching = _Watching()
        self._writer = Writer(lambda _: None)
        store = SqliteStore(folder, keep_rejects=0)
        self._ownership = Ownership(
            store,
            detection,
            models=models,
            decoders=lambda _: self._source,
            writer=self._writer,
            outboxes=_NoOutboxes(),
            observer=self._watching,
            clock=SystemClock(),
            policy="stop",
            replayable=True,
            fingerprint="bench",
            letters_to_topic=False,
            commit=self._source.commit,
        )
        self._pipeline = Pipeline(
            self._source,
            self._ownership.owned,
            alerts=Raising("webhook"),
            writer=self._writer,
            observer=self._watching,
            clock=SystemClock(),
            store_id=store.id,
            checkpoint_interval=math.inf,
        )
        self._ownership.assigned(PARTITION, LogFacts("bench"))
        self.turn(None)
        self._watching.finished.clear()  # a new store's first checkpoint
        self._as_the_loop = ExitStack()
        self._as_the_loop.enter_context(collecting_rarely())

    @property
    def owned(self) -> Owned:
        return self._ownership.owned[PARTITION]

    def advance(self, rows: Rows) -> float:
        """Score and learn rows, and nothing else; returns the seconds it took."""
        owned = self.owned
        started = time.perf_counter()
        progress = owned.model.advance(rows)
        elapsed = time.perf_counter() - started
        owned.moved(rows, progress)
        return elapsed

    def turn(self, rows: Rows | None, *, checkpoint: bool = False) -> float:
        """Make a turn of the pipeline, which may begin a checkpoint; returns the seconds it took."""
        if rows is not None:
            self._source.give(rows)
        started = time.perf_counter()
        if checkpoint:
            self.owned.begin_checkpoint(time.monotonic())
        self._pipeline.turn(0.0)
        return time.perf_counter() - started

    def finished(self) -> Finished | None:
        """Return the checkpoint that became durable since this was last asked."""
        return self._watching.finished.pop() if self._watching.finished else None

    def save(self) -> None:
        """Make everything durable, while no rows come."""
        self.turn(None, checkpoint=True)
        while self.finished() is None:
            self.turn(None)

    def close(self) -> None:
        """Give the partition up in order."""
        self._as_the_loop.close()
        self._ownership.revoked(PARTITION)
        self._writer.close()
