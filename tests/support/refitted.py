"""A partition with a model, a store and refits, fed with rows: for tests of what the refit does in the daemon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from detector.config.detection import Detection
from detector.models.decision import Decision
from detector.models.partition import PartitionModel
from detector.models.window import WindowLimits
from detector.owned import Owned
from detector.refit.limits import Limits
from detector.refit.record import Record
from detector.refit.values import Parameters
from detector.refitting import Plan, Refitting
from detector.store.memory import MemoryStore
from detector.telemetry.clock import SystemClock
from detector.types import ControlKind, ControlRecord, Decoded, Float64, Partition, Position
from tests.support.broker import wait_until
from tests.support.models import PARTITION, DictStore, programs, rows, small

CENTRES = np.array([[0.0, 0.0, 0.0, 0.0], [9.0, 0.0, 3.0, -5.0], [0.0, 9.0, -3.0, 5.0]])
PLAN = Plan(Parameters("kmeans", k=3), interval=None, least=200, shadow_blocks=20, limits=Limits())
HEAVIEST_LAST = [0.1, 0.3, 0.6]


def refitted_detection(*, keyed: bool = False) -> Detection:
    """Return a configuration whose blocks are small, so that shadows are short."""
    return small(features=4, centroids=6, rows=64, keyed=keyed, seed_rows=128, tick=1e9, mass=0.95, scale="within")


class Saved(NamedTuple):
    """A checkpoint: the model's header and slots, and how far the rows were."""

    header: bytes
    slots: DictStore
    at: int


class Refitted:
    """One partition of a worker. `results` counts what became of refits."""

    def __init__(
        self, plan: Plan = PLAN, *, keyed: bool = False, store: MemoryStore | None = None, saved: Saved | None = None
    ) -> None:
        self.results: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.kept: list[Record] = []
        self.agreement: dict[Partition, float] = {}
        self.overlooked = 0
        self.measured: dict[Partition, Decision] = {}
        self.stores = store or MemoryStore(keep_rejects=10)
        opened = self.stores.open(PARTITION)
        detection = refitted_detection(keyed=keyed)
        if not opened.controls():
            opened.add_control(ControlRecord(0, ControlKind.CONFIGURATION, detection.to_payload()))
        window = WindowLimits(1000, 1 << 20, 1e6, 10)
        model = PartitionModel(
            PARTITION,
            detection,
            programs=programs,
            load=saved.slots.load if saved else opened.read_slots,
            window=window,
        )
        if saved is not None:
            model.restore(saved.header, saved.slots.directory())
        model.control(opened.controls()[model.applied :])
        self.owned = Owned(
            PARTITION,
            "topic-id",
            store=opened,
            model=model,
            controls=opened.controls(),
            position=Position(0),
            through=Position(0),
            through_block=0,
            decoders=lambda _: _NoDecoder(),
            fingerprint="test",
            letters_to_topic=False,
        )
        self.model = model
        self.partitions = {PARTITION: self.owned}
        self.refitting = Refitting(
            plan, self.partitions, SystemClock(), self, lambda _, record: self.kept.append(record)
        )
        self.keyed = keyed
        self.at = 0 if saved is None else saved.at

    def refitted(self, result: str, seconds: float | None = None) -> None:
        """Count a refit."""
        self.results[result] += 1
        if seconds is not None:
            self.seconds.append(seconds)

    def compared(self, partition: Partition, agreement: float, overlooked: int) -> None:
        """Keep the agreement."""
        self.agreement[partition], self.overlooked = agreement, overlooked

    def decided(self, partition: Partition, decision: Decision) -> None:
        """Keep what the shadow measured."""
        self.measured[partition] = decision

    def feed(self, count: int, seed: int = 0, weights: list[float] | None = None) -> bytes:
        """Let `count` rows come, which depend on the seed and their place alone; returns their scores as bytes."""
        values = stream(self.at, count, seed, weights)
        entities = [f"host-{i % 2}" for i in range(self.at, self.at + count)] if self.keyed else None
        progress = self.model.advance(rows(values, start=self.at, entities=entities))
        assert progress.taken == count
        self.at += count
        return progress.distance.tobytes() + progress.score.tobytes() + progress.flagged.tobytes()

    def until(self, done: Callable[[], bool]) -> None:
        """Turn until a condition holds that the refit's process brings about."""

        def turned() -> bool:
            if not done():
                self.refitting.turn()
            return done()

        wait_until(turned, "what the refit should come to", 120.0)

    def feed_until(self, done: Callable[[], bool], weights: list[float] | None = None) -> None:
        """Turn, with a block of rows each time, until a condition holds that rows bring about."""
        for _ in range(1000):
            if done():
                return
            self.refitting.turn()
            self.feed(64, weights=weights)
        message = "1,000 blocks did not bring it about"
        raise AssertionError(message)

    def save(self) -> Saved:
        """Take a checkpoint."""
        slots = DictStore()
        return Saved(slots.checkpoint(self.model), slots, self.at)

    def state(self) -> str:
        """Tell what the refit is at."""
        return self.refitting.state(self.owned)

    def refit(self, weights: list[float] | None = None) -> None:
        """Refit, and let rows come until a decision is there."""
        self.refitting.request(self.owned)
        self.until(lambda: self.state() not in {"asked", "running"})
        self.feed_until(lambda: self.state() == "idle", weights)

    def close(self) -> None:
        """Give everything up."""
        self.refitting.close()
        self.owned.store.close()


def stream(start: int, count: int, seed: int = 0, weights: list[float] | None = None) -> Float64:
    """Return rows [count, 4] of three clusters; each depends on its place alone."""
    rng = np.random.default_rng([seed, start])
    return CENTRES[rng.choice(3, count, p=weights or [0.5, 0.3, 0.2])] + rng.normal(0, 1, (count, 4))


class _NoDecoder:
    """Rows come as they are; records there are none."""

    def decode(self, records: Sequence[object]) -> Decoded:
        """Refuse."""
        message = f"rows come as they are, and yet {len(records)} records did"
        raise AssertionError(message)
