"""A labelled set's rows as the log of a topic: one partition of Arrow records, in the order of time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from detector.config.sections import Events, Feature, Limits, Timestamp
from detector.protocols import Assignment
from detector.quality.labelled import Run
from detector.quality.presets import Preset
from detector.types import Batch, Int64, LogFacts, Partition, PlainRecord, Position, Rows

ROWS_A_RECORD = 1024

_NO_LIMIT = 1e12
"""Seconds. A record holds years of a slow series, and its broker would have kept each row's own time."""


def log_order(run: Run, preset: Preset) -> Int64:
    """Return the numbers of a run's rows [n] in the order in which a topic would carry them.

    Events stay as they are. Streams of metrics are merged by time, as when all of them write to one topic; each
    stream's rows keep their order, whatever their times.
    """
    if preset == "events":
        return np.arange(len(run))
    reached = np.empty(len(run))
    for stream in range(len(run.streams)):
        rows = run.rows(stream)
        reached[rows] = np.maximum.accumulate(run.times[rows])
    return np.argsort(reached, kind="stable")


def events_section(run: Run) -> Events:
    """Return the `events` section that reads what RunSource hands out."""
    return Events(
        format="arrow",
        features=[Feature(name=f"f{d}") for d in range(run.values.shape[1])],
        entity="stream" if run.keyed else None,
        timestamp=Timestamp(path="time", unit="us"),
        limits=Limits(record_bytes=1 << 30, too_old=_NO_LIMIT, too_far_ahead=_NO_LIMIT),
    )


class RunSource:
    """Hands the rows of a run out as fast as it is asked for, in the order given: 1,024 a record, a record a poll.

    The columns are `time` (int64, epoch microseconds), `stream` (its number, as text) and the features; a NaN is a
    missing feature.
    """

    replayable = True

    def __init__(self, name: str, run: Run, order: Int64) -> None:
        self._partition = Partition(name, 0)
        self._run = run
        self._order = order
        self._end = -(-len(order) // ROWS_A_RECORD)
        self._next = 0
        self._assignment: Assignment | None = None
        self._owned = False

    def rows_of(self, rows: Rows) -> Int64:
        """Return the numbers in the run of rows as the pipeline has them."""
        numbers: Int64 = self._order[rows.offsets * ROWS_A_RECORD + rows.rows]
        return numbers

    def start(self, assignment: Assignment) -> None:
        """Remember whom to tell; the partition is handed over inside the first `poll`."""
        self._assignment = assignment

    def poll(self, timeout: float) -> Sequence[Batch]:  # noqa: ARG002 - there is always something, or nothing ever
        """Return the next record; nothing behind the end."""
        if not self._owned and self._assignment is not None:
            self._assignment.assigned(self._partition, LogFacts(self._partition.topic, end=self._end))
            self._owned = True
        if self._next == self._end:
            return ()
        number, self._next = self._next, self._next + 1
        return (Batch(self._partition, [self._record(number)], self._next, self._end),)

    def pause(self) -> None:
        """Do nothing: who has nothing to deliver never waits."""

    def resume(self) -> None:
        """Undo `pause`."""

    def commit(self, positions: dict[Partition, Position], store_id: str) -> None:
        """Do nothing: the run is read once."""

    @property
    def exhausted(self) -> bool:
        """True when the last row has been handed out."""
        return self._next == self._end

    def close(self) -> None:
        """Give the partition up."""
        if self._owned and self._assignment is not None:
            self._owned = False
            self._assignment.revoked(self._partition)

    def _record(self, number: int) -> PlainRecord:
        rows = self._order[number * ROWS_A_RECORD : (number + 1) * ROWS_A_RECORD]
        values, times = self._run.values[rows], self._run.times[rows]
        columns = {
            "time": np.round(times * 1e6).astype(np.int64),
            "stream": pa.array(self._run.stream[rows]).cast(pa.string()),
        }
        columns |= {f"f{d}": pa.array(values[:, d], from_pandas=True) for d in range(values.shape[1])}
        batch = pa.RecordBatch.from_pydict(columns)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        return PlainRecord(number, round(float(times[-1]) * 1e3), None, sink.getvalue().to_pybytes())
