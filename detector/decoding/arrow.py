"""Arrow: a record holds one IPC stream of record batches, one event a row."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa

from detector.decoding import columns
from detector.decoding.envelope import MalformedError, claims
from detector.decoding.labels import Lookup
from detector.decoding.paths import FieldPath
from detector.decoding.plan import Plan
from detector.decoding.rows import Fault, Found, assemble, not_a_number, screen
from detector.types import Bool, Decoded, Float64, Int32, Int64, Record, RejectReason

# Compressed streams may unpack to this many times the limit for a record. What is packed tighter is a bomb.
UNPACKED = 16

_OPTIONS = pa.ipc.IpcReadOptions(use_threads=False)


@dataclass(slots=True)
class _Parts:
    """The rows of a batch, record batch by record batch; each list has one entry a record batch."""

    owners: list[Int64] = field(default_factory=list)
    numbers: list[Int32] = field(default_factory=list)
    values: list[Float64] = field(default_factory=list)
    times: list[Float64] = field(default_factory=list)
    entities: list[str | None] = field(default_factory=list)
    faults: dict[int, Fault] = field(default_factory=dict)
    rows: int = 0
    passed_over: int = 0


class ArrowDecoder:
    """Decodes Arrow IPC streams, column by column. A Decoder: never raises for what a record holds.

    Columns may be numbers of any width, decimals, or dictionaries of them; entities text or integers, best as a
    dictionary; times Arrow timestamps (their own unit counts), numbers or text. A path leads through structs.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def decode(self, records: Sequence[Record]) -> Decoded:
        """Decode records in order, each one independently of the others."""
        plan = self._plan
        screened = screen(plan, records)
        parts = _Parts(passed_over=screened.passed_over)
        for n, value in zip(screened.numbers, screened.values, strict=True):
            batches = self._read(value)
            if isinstance(batches, tuple):
                screened.refused[n] = batches
                continue
            start = 0
            for batch in batches:
                if batch.num_rows:
                    self._add(parts, n, start, batch)
                    start += batch.num_rows
            parts.passed_over += start == 0  # no rows: nothing to use and nothing wrong
        width = len(plan.feature_fields)
        found = Found(
            owners=_joined(parts.owners, np.int64),
            numbers=_joined(parts.numbers, np.int32),
            values=np.concatenate(parts.values) if parts.values else np.empty((0, width)),
            times=None if plan.time_field is None else _joined(parts.times, np.float64),
            entities=None if plan.entity_field is None else parts.entities,
            faults=parts.faults,
            refused=screened.refused,
            passed_over=parts.passed_over,
        )
        return assemble(plan, records, found, self._opened)

    def _opened(self, value: bytes) -> Lookup:
        """Parse a record for the labels of its rows."""
        batches = self._read(value)
        assert not isinstance(batches, tuple)  # it has yielded rows
        ends = list(accumulate(batch.num_rows for batch in batches))

        def look(row: int, path: FieldPath) -> object:
            batch = batches[n := bisect_right(ends, row)]
            array = columns.column(batch, path.names)
            return None if array is None else array[row - (ends[n] - batch.num_rows)].as_py()

        return look

    def _read(self, value: bytes) -> list[Any] | Fault:
        """Return the record batches, checked in full; or why there are none."""
        limits = self._plan.limits
        try:
            claimed = claims(value)
            if max(claimed.rows, claimed.dictionary) > limits.rows:
                rows = max(claimed.rows, claimed.dictionary)
                return (
                    RejectReason.TOO_MANY_ROWS,
                    f"the stream has {rows} rows; at most {limits.rows} (events.limits.rows)",
                )
            most = UNPACKED * limits.record_bytes
            if claimed.unpacked > most:
                text = (
                    f"the stream unpacks to {claimed.unpacked} bytes; at most {most} (events.limits.record_bytes x 16)"
                )
                return RejectReason.TOO_LARGE, text
            with pa.ipc.open_stream(pa.py_buffer(value), options=_OPTIONS) as reader:
                batches = list(reader)
            for batch in batches:
                batch.validate(full=True)
        except (MalformedError, pa.ArrowException, OSError) as error:
            return RejectReason.UNDECODABLE, f"not an Arrow IPC stream: {error}"
        return batches

    @np.errstate(invalid="ignore")  # some NaNs complain when they are widened
    def _add(self, parts: _Parts, owner: int, start: int, batch: Any) -> None:
        plan = self._plan
        keep = self._wanted(batch)
        kept = np.flatnonzero(keep)
        parts.passed_over += len(keep) - len(kept)
        parts.owners.append(np.full(len(kept), owner, dtype=np.int64))
        parts.numbers.append((start + kept).astype(np.int32))
        parts.values.append(self._features(parts, batch, keep)[keep])
        if plan.time_field is not None:
            array = columns.column(batch, plan.time_field.names)
            times = None if array is None else columns.times(array, plan.unit)
            parts.times.append(np.full(len(kept), np.nan) if times is None else times[keep])
        if plan.entity_field is not None:
            array = columns.column(batch, plan.entity_field.names)
            limit = plan.limits.entity_bytes
            names = [None] * len(keep) if array is None else columns.names(array, limit)
            parts.entities += names if len(kept) == len(keep) else [names[row] for row in kept.tolist()]
        parts.rows += len(kept)

    def _wanted(self, batch: Any) -> Bool:
        """Judge the rows by `where`, [rows]."""
        keep = np.ones(batch.num_rows, dtype=np.bool_)
        for path, expected in self._plan.where:
            array = columns.column(batch, path.names)
            keep &= False if array is None else columns.matching(array, expected)
        return keep

    def _features(self, parts: _Parts, batch: Any, keep: Bool) -> Float64:
        """Return the features that stand in the event, [rows, F]; faults are noted for the rows to keep."""
        plan = self._plan
        fields = [(n, path) for n, path in enumerate(plan.features) if isinstance(path, FieldPath)]
        values = np.full((batch.num_rows, len(fields)), np.nan)
        for place, (feature, path) in enumerate(fields):
            array = columns.column(batch, path.names)
            if array is None:
                continue
            numbers = columns.features(array)
            if numbers is not None:
                values[:, place] = numbers
                continue
            for row in np.flatnonzero(columns.valid(array)[keep]).tolist():
                parts.faults.setdefault(parts.rows + row, not_a_number(plan, feature))
        return values


def _joined(parts: Sequence[Any], kind: Any) -> Any:
    return np.concatenate(parts) if parts else np.empty(0, dtype=kind)
