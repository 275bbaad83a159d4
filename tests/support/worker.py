"""A worker as the composition root builds it, on a log and a store in memory, that can be killed at any moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from detector import decoding
from detector.alerts.raising import Raising
from detector.app import Models
from detector.config.detection import Detection
from detector.models.kept import Event, Fate, decoded
from detector.models.progress import Progress
from detector.models.window import WindowLimits
from detector.observing import Observing
from detector.owned import Owned
from detector.ownership import Ownership
from detector.pipeline import Pipeline
from detector.protocols import PartitionStore
from detector.sources.memory import MemoryLog, MemorySource
from detector.store.memory import MemoryStore
from detector.store.writer import Writer
from detector.telemetry.clock import SystemClock
from detector.telemetry.metrics import Metrics
from detector.types import Partition, Position, Rows

MODELS = Models(WindowLimits(50, 1 << 16, 600.0, 100), keep_events=100_000)
"""Shared by all workers of a test run: each program is compiled once."""

Scores = dict[tuple[Partition, int, int], tuple[bytes, bytes]]
"""(distance, score) of each row, as bytes: NaN equals itself."""


class KilledError(Exception):
    """Stands for SIGKILL: whatever the worker was about to do, it does not."""


class Watcher(Observing):
    """Keeps every row's scores, and kills the worker after a number of portions."""

    def __init__(self, scores: Scores) -> None:
        super().__init__(Metrics())
        self._scores = scores
        self.portions_left = -1

    def advanced(self, owned: Owned, rows: Rows, progress: Progress) -> None:
        super().advanced(owned, rows, progress)
        for i in range(progress.taken):
            place = (owned.partition, int(rows.offsets[i]), int(rows.rows[i]))
            scored = (progress.distance[i].tobytes(), progress.score[i].tobytes())
            assert self._scores.setdefault(place, scored) == scored, f"{place} was scored in two ways"
        self.portions_left -= 1
        if self.portions_left == 0:
            raise KilledError


class _NoOutboxes:
    def attach(self, store: PartitionStore) -> None:
        """Leave what is in the outbox there, for the test to look at."""

    def detach(self, partition: Partition) -> None:
        """Nothing was attached."""


class Worker:
    """One member: a source that is given partitions, and everything behind it but the delivery."""

    def __init__(
        self,
        log: MemoryLog,
        store: MemoryStore,
        detection: Detection,
        scores: Scores,
        *,
        random: Random | None = None,
        interval: float = 3600.0,
    ) -> None:
        self.source = MemorySource(log, random=random)
        self.watcher = Watcher(scores)
        self.writer = Writer(lambda _: None)
        self.ownership = Ownership(
            store,
            detection,
            models=MODELS,
            decoders=lambda detection: decoding.build(detection.events),
            writer=self.writer,
            outboxes=_NoOutboxes(),
            observer=self.watcher,
            clock=SystemClock(),
            policy="stop",
            replayable=True,
            fingerprint="test",
            letters_to_topic=True,
            commit=self.source.commit,
        )
        self.pipeline = Pipeline(
            self.source,
            self.ownership.owned,
            alerts=Raising("sink"),
            writer=self.writer,
            observer=self.watcher,
            clock=SystemClock(),
            store_id=store.id,
            checkpoint_interval=interval,
        )
        self.source.start(self.ownership)

    def turn(self) -> bool:
        """Make a turn; False where the worker was killed in the middle of it."""
        try:
            self.pipeline.turn(0.0)
        except KilledError:
            self.kill()
            return False
        return True

    def run_until(self, done: Callable[[], bool]) -> None:
        """Turn until a condition holds; a worker that is killed on the way fails the test."""
        while not done():
            assert self.turn(), "the worker was killed"

    def kill(self) -> None:
        """End at once: what the writer had not written is not written."""
        self.writer.close()
        for owned in self.ownership.owned.values():
            owned.store.close()

    def close(self) -> None:
        """End in order."""
        self.source.close()
        self.writer.close()

    def reached(self, ends: dict[Partition, int]) -> bool:
        """Tell whether all given partitions are owned and read to their ends."""
        owned = self.ownership.owned
        return all(p in owned and owned[p].position >= Position(end) for p, end in ends.items())


def outbox(store: MemoryStore, partitions: Sequence[Partition]) -> dict[tuple[str, str], bytes]:
    """Return all that ever went to the outboxes, by (sink, id)."""
    entries = {}
    for partition in partitions:
        opened = store.open(partition)
        for sink in ("sink", "dead_letters"):
            for queued in opened.due(sink, float("inf"), 1_000_000):
                entries[sink, queued.entry.id] = queued.entry.body
        opened.close()
    return entries


def kept_events(store: MemoryStore, partitions: Sequence[Partition]) -> dict[tuple[Partition, Position], Event]:
    """Return the events kept of those partitions, as they were written last; what the model made of them apart.

    That is not told of rows whose block was open when a worker ended.
    """
    found: dict[tuple[Partition, Position], Event] = {}
    for partition in partitions:
        opened = store.open(partition)
        for each in opened.kept_events():
            found |= {(partition, event.position): event._replace(fate=Fate.OPEN) for event in decoded(each.body)}
        opened.close()
    return found


def final_state(store: MemoryStore, partitions: Sequence[Partition]) -> dict[Partition, tuple[object, ...]]:
    """Return what the last checkpoint of each partition holds, slots included."""
    states: dict[Partition, tuple[object, ...]] = {}
    for partition in partitions:
        opened = store.open(partition)
        directory = dict(opened.directory())
        checkpoint = opened.checkpoint()
        assert checkpoint is not None
        states[partition] = (checkpoint.position, checkpoint.header, directory, opened.read_slots(list(directory)))
        opened.close()
    return states
