"""A simulated fleet as a source of events, which can be replayed as fast as it is read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from detector.config.sections import Events, Feature, Timestamp
from detector.protocols import Assignment
from detector.sources.simulated_faults import FEATURES, UNITS
from detector.sources.simulation import Fleet
from detector.types import Batch, LogFacts, Partition, PlainRecord, Position

PARTITION = Partition("fleet", 0)

_STEPS_A_RECORD = 20
_RECORDS_A_POLL = 8


def events_section() -> Events:
    """Return the `events` section that reads what FleetSource hands out."""
    return Events(
        format="arrow",
        features=[Feature(name=name, unit=unit) for name, unit in UNITS.items()],
        entity="host",
        timestamp=Timestamp(path="time", unit="ms"),
    )


class FleetSource:
    """Hands a fleet out as fast as it is asked for: one partition of Arrow IPC streams, 20 samples of all hosts each.

    Replayable: offset n is always the same bytes. The columns are `time` (int64, epoch ms), `host`, and the features.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._end = -(-len(fleet.times) // _STEPS_A_RECORD)
        self._assignment: Assignment | None = None
        self._owned = False
        self._paused = False
        self._next = 0

    def start(self, assignment: Assignment) -> None:
        """Remember whom to tell; the partition is handed over inside the first `poll`."""
        self._assignment = assignment

    def poll(self, timeout: float) -> Sequence[Batch]:  # noqa: ARG002 - there is always something, or nothing ever
        """Return the next records; nothing behind the end or while paused."""
        self._take_over()
        first, last = self._next, min(self._next + _RECORDS_A_POLL, self._end)
        if self._paused or first == last:
            return ()
        self._next = last
        return (Batch(PARTITION, [self._record(n) for n in range(first, last)], last, self._end),)

    def pause(self) -> None:
        """Hand out nothing."""
        self._paused = True

    def resume(self) -> None:
        """Undo `pause`."""
        self._paused = False

    def commit(self, positions: dict[Partition, Position], store_id: str) -> None:
        """Do nothing: the checkpoint alone knows the position."""

    @property
    def exhausted(self) -> bool:
        """True when the last sample has been handed out."""
        return self._next >= self._end

    @property
    def replayable(self) -> bool:
        """True: a fleet is a function of its seed."""
        return True

    def close(self) -> None:
        """Give the partition up."""
        if self._owned and self._assignment is not None:
            self._owned = False
            self._assignment.revoked(PARTITION)

    def _take_over(self) -> None:
        if self._owned or self._assignment is None:
            return
        position = self._assignment.assigned(PARTITION, LogFacts(topic_id=self._fleet.name, end=self._end))
        self._owned = True
        if position is not None:
            self._next = min(position.offset, self._end)

    def _record(self, number: int) -> PlainRecord:
        part = slice(number * _STEPS_A_RECORD, (number + 1) * _STEPS_A_RECORD)
        values = self._fleet.values[part]
        steps, hosts, _ = values.shape
        times = (self._fleet.times[part] * 1000).astype(np.int64)
        columns = {"time": np.repeat(times, hosts), "host": pa.array(self._fleet.hosts * steps)}
        columns |= {name: values[:, :, d].ravel() for d, name in enumerate(FEATURES)}
        rows = pa.RecordBatch.from_pydict(columns)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_batch(rows)
        return PlainRecord(number, int(times[-1]), None, sink.getvalue().to_pybytes())
