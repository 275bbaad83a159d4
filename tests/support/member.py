"""A member of a group as the composition root builds it, but for the delivery; tests choose its parts and its clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from detector import decoding
from detector.alerts.raising import Raising
from detector.app import Models
from detector.config.detection import Detection
from detector.observing import Observing
from detector.owned import Owned
from detector.ownership import Ownership
from detector.pipeline import Pipeline
from detector.protocols import Decoder, PartitionStore, Store
from detector.sources.memory import MemoryLog, MemorySource
from detector.store.continuity import Policy
from detector.store.writer import Writer
from detector.telemetry.metrics import Metrics
from detector.types import Partition, Position
from tests.support.alerts import TurnedClock

MODELS = Models()
"""Shared by all members of a test run: each program is compiled once."""

BOUND = 30.0


def json_decoder(detection: Detection) -> Decoder:
    """Return the decoder that the composition root builds for JSON."""
    return decoding.build(detection.events)


class Attached:
    """Keeps the stores that deliver, in place of the delivery."""

    def __init__(self) -> None:
        self.stores: list[PartitionStore] = []

    def attach(self, store: PartitionStore) -> None:
        self.stores.append(store)

    def detach(self, partition: Partition) -> None:
        self.stores = [store for store in self.stores if store.partition != partition]


class Member:
    """A source in memory that is given partitions, and everything behind it. Leaving the block closes it in order."""

    def __init__(
        self,
        log: MemoryLog,
        store: Store,
        detection: Detection,
        *,
        source: MemorySource | None = None,
        decoders: Callable[[Detection], Decoder] = json_decoder,
        clock: TurnedClock | None = None,
        policy: Policy = "stop",
        replayable: bool = True,
        fingerprint: str = "test",
        letters_to_topic: bool = False,
        interval: float = 10.0,
        models: Models = MODELS,
    ) -> None:
        self.source = source or MemorySource(log)
        self.clock = clock or TurnedClock()
        self.metrics = Metrics()
        self.observing = Observing(self.metrics, self.clock.now)
        self.writer = Writer(lambda _: None, retry=0.01)
        self.outboxes = Attached()
        self.ownership = Ownership(
            store,
            detection,
            models=models,
            decoders=decoders,
            writer=self.writer,
            outboxes=self.outboxes,
            observer=self.observing,
            clock=self.clock,
            policy=policy,
            replayable=replayable,
            fingerprint=fingerprint,
            letters_to_topic=letters_to_topic,
            commit=self.source.commit,
        )
        self.pipeline = Pipeline(
            self.source,
            self.ownership.owned,
            alerts=Raising("sink"),
            writer=self.writer,
            observer=self.observing,
            clock=self.clock,
            store_id=store.id,
            checkpoint_interval=interval,
        )
        self._log = log
        self.source.start(self.ownership)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.source.close()
        self.writer.close()

    def owned(self, partition: Partition) -> Owned:
        return self.ownership.owned[partition]

    def read(self, *partitions: Partition) -> None:
        """Take partitions that are not owned yet, and read all to their ends."""
        self.source.give(*(p for p in partitions if p not in self.ownership.owned))
        self.pipeline.turn(0.0)
        while any(self.owned(p).position < Position(self._log.end(p)) for p in partitions):
            self.pipeline.turn(0.0)

    def checkpoint(self) -> None:
        """Write a checkpoint of everything, and take note that it is durable."""
        for owned in self.ownership.owned.values():
            if not owned.saving:
                owned.begin_checkpoint(self.clock.monotonic())
            owned.hand_over(self.writer)
        self.ownership.settle()
        self.pipeline.turn(0.0)

    def sample(self, name: str, **labels: str) -> float | None:
        """Return a metric's value, None where there is no such series."""
        return self.metrics.registry.get_sample_value(f"detector_{name}", labels)


def event(host: str = "a", *values: float, **others: Any) -> dict[str, Any]:
    """Return an event of `tests.support.models.small`: its features are f0, f1, f2."""
    return {"host": host, **{f"f{d}": value for d, value in enumerate(values or (1.0, 2.0, 3.0))}, **others}


def document(*events: object) -> bytes:
    """Return a record of one event, or of an array of several."""
    return json.dumps(events[0] if len(events) == 1 else events).encode()
