"""From what a format found in a batch to rows and rejects: the checks that are the same for all formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from detector.decoding import timestamps
from detector.decoding.labels import Lookup, of_rows
from detector.decoding.paths import RecordPath
from detector.decoding.plan import Plan
from detector.decoding.values import name, number_text
from detector.types import Bool, Decoded, Float64, Int32, Int64, Record, Reject, RejectReason, Rows

Fault = tuple[RejectReason, str]

# From here on a float64 becomes infinite as a float32: the largest float32 and half a step, which rounds up.
FLOAT32_OVERFLOW = (2.0 - 2.0**-24) * 2.0**127

# A row is rejected for the first of these that holds.
_PRECEDENCE = (
    RejectReason.NOT_AN_EVENT,
    RejectReason.NO_ENTITY,
    RejectReason.NO_TIMESTAMP,
    RejectReason.TOO_OLD,
    RejectReason.TOO_FAR_AHEAD,
    RejectReason.NOT_A_NUMBER,
    RejectReason.NOT_FINITE,
    RejectReason.NO_FEATURES,
    RejectReason.MISSING_FEATURE,
)
_RANK = {reason: rank for rank, reason in enumerate(_PRECEDENCE)}
_FINE = len(_PRECEDENCE)


@dataclass(slots=True)
class Screened:
    """The records of a batch whose values are worth parsing: their numbers in the batch, and the bytes."""

    numbers: list[int] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    refused: dict[int, Fault] = field(default_factory=dict)
    passed_over: int = 0


@dataclass(slots=True)
class Found:
    """What a format found in a batch, one array entry a row, in log order.

    owners     int64   [n]     the record, by its number in the batch
    numbers    int32   [n]     the row's number inside its record
    values     float64 [n, F]  the features that stand in the event; NaN = missing, infinite = not finite
    times      float64 [n]     epoch seconds, NaN = none; None where the time stands outside the event
    entities   n names, None = none; None where the entity stands outside the event
    faults     by row: why it cannot be a row, as only the format can tell
    refused    by record: why it yields no rows at all
    """

    owners: Int64
    numbers: Int32
    values: Float64
    times: Float64 | None
    entities: list[str | None] | None
    faults: dict[int, Fault]
    refused: dict[int, Fault]
    passed_over: int


@dataclass(frozen=True, slots=True)
class _Judged:
    """The rank of each row's reason (_FINE = none), and what its wording needs; `texts` are the format's own."""

    ranks: Int64
    missing: Bool
    infinite: Bool
    ahead: Float64
    texts: dict[int, str]


def screen(plan: Plan, records: Sequence[Record]) -> Screened:
    """Pass over tombstones and what `where` says of keys and headers; refuse what is too large."""
    limit = plan.limits.record_bytes
    values = [record.value for record in records]
    if not plan.where_record and None not in values and max(map(len, values), default=0) <= limit:  # type: ignore[arg-type]  # no None
        return Screened(list(range(len(values))), values)  # type: ignore[arg-type]  # likewise
    screened = Screened()
    for n, record in enumerate(records):
        value = record.value
        if value is None or (plan.where_record and not plan.wants(record)):
            screened.passed_over += 1
        elif len(value) > limit:
            text = f"the record's value has {len(value)} bytes; at most {limit} are read (events.limits.record_bytes)"
            screened.refused[n] = (RejectReason.TOO_LARGE, text)
        else:
            screened.numbers.append(n)
            screened.values.append(value)
    return screened


def assemble(plan: Plan, records: Sequence[Record], found: Found, opened: Callable[[bytes], Lookup]) -> Decoded:
    """Check the rows, part the good from the bad, and gather the bad ones by record, in log order.

    `opened` parses a record's value for those who ask for the labels of its rows.
    """
    stamps = np.array([record.timestamp for record in records], dtype=np.float64)[found.owners] / 1e3
    stamps[stamps < 0] = np.nan
    rows = Rows(
        offsets=np.array([record.offset for record in records], dtype=np.int64)[found.owners],
        rows=found.numbers,
        times=_times(plan, records, found, stamps),
        values=_features(plan, records, found),
        entities=_entities(plan, records, found),  # type: ignore[arg-type]  # rows without a name are rejected below
        labels=of_rows(plan, records, opened),
    )
    judged = _judge(plan, found.faults, rows, stamps)
    bad = np.flatnonzero(judged.ranks < _FINE)
    if len(bad):
        rows = _select(rows, judged.ranks == _FINE)
    return Decoded(rows, _rejects(plan, records, found, judged, bad), found.passed_over)


def _features(plan: Plan, records: Sequence[Record], found: Found) -> Float64:
    outside = [(column, path) for column, path in enumerate(plan.features) if isinstance(path, RecordPath)]
    if not outside:
        return found.values
    values = np.empty((len(found.owners), len(plan.features)))
    inside = [column for column, path in enumerate(plan.features) if not isinstance(path, RecordPath)]
    values[:, inside] = found.values
    for column, path in outside:
        numbers = [number_text(path.text(record)) for record in records]
        wrong = {n for n, value in enumerate(numbers) if value is None}
        values[:, column] = np.array(numbers, dtype=np.float64)[found.owners]
        for row in np.flatnonzero(np.isin(found.owners, list(wrong))) if wrong else ():
            found.faults.setdefault(int(row), not_a_number(plan, column))
    return values


def _times(plan: Plan, records: Sequence[Record], found: Found, stamps: Float64) -> Float64:
    if plan.time is None:
        return stamps
    if found.times is not None:
        return found.times
    assert isinstance(plan.time, RecordPath)
    texts = [plan.time.text(record) for record in records]
    if plan.unit == "rfc3339":
        return timestamps.from_texts(texts)[found.owners]
    numbers = np.array([number_text(text) for text in texts], dtype=np.float64)
    return timestamps.from_numbers(numbers, plan.unit)[found.owners]


def _entities(plan: Plan, records: Sequence[Record], found: Found) -> list[str | None] | None:
    if not isinstance(plan.entity, RecordPath):
        return found.entities
    names = [name(plan.entity.text(record), plan.limits.entity_bytes) for record in records]
    return [names[owner] for owner in found.owners.tolist()]


def _judge(plan: Plan, faults: dict[int, Fault], rows: Rows, stamps: Float64) -> _Judged:
    values, times = rows.values, rows.times
    ranks = np.full(len(times), _FINE, dtype=np.int64)

    def lower(bad: Bool, reason: RejectReason) -> None:
        if bad.any():
            ranks[bad] = np.minimum(ranks[bad], _RANK[reason])

    missing = np.isnan(values)
    if missing.any():
        lower(np.all(missing, axis=1), RejectReason.NO_FEATURES)
        if plan.required:
            lower(np.any(missing[:, plan.required], axis=1), RejectReason.MISSING_FEATURE)
    infinite = np.abs(values) >= FLOAT32_OVERFLOW
    if infinite.any():
        lower(np.any(infinite, axis=1), RejectReason.NOT_FINITE)
    ahead = times - stamps  # NaN, and so neither old nor ahead, where the record has no time of its own
    lower(ahead > plan.limits.too_far_ahead, RejectReason.TOO_FAR_AHEAD)
    lower(-ahead > plan.limits.too_old, RejectReason.TOO_OLD)
    lower(~((times >= timestamps.EARLIEST) & (times < timestamps.LATEST)), RejectReason.NO_TIMESTAMP)
    if rows.entities is not None and None in rows.entities:
        lower(np.array([entity is None for entity in rows.entities], dtype=np.bool_), RejectReason.NO_ENTITY)

    texts = {}
    for row, (reason, text) in faults.items():
        if _RANK[reason] < ranks[row]:
            ranks[row] = _RANK[reason]
            texts[row] = text
    return _Judged(ranks, missing, infinite, ahead, texts)


def _explain(plan: Plan, judged: _Judged, row: int) -> str:
    reason = _PRECEDENCE[judged.ranks[row]]
    if row in judged.texts:
        return judged.texts[row]
    if reason is RejectReason.NO_FEATURES:
        return "none of the configured features is there"
    if reason is RejectReason.MISSING_FEATURE:
        column = plan.required[int(judged.missing[row, plan.required].argmax())]
        return f"{plan.feature_labels[column]}: is missing, and `missing: reject` asks for it"
    if reason is RejectReason.NOT_FINITE:
        return f"{plan.feature_labels[judged.infinite[row].argmax()]}: expected a number that is finite as float32"
    if reason is RejectReason.NO_ENTITY:
        return f"{plan.entity_label}: expected text of 1 to {plan.limits.entity_bytes} bytes, or an integer"
    return _explain_time(plan, reason, float(judged.ahead[row]))


def _explain_time(plan: Plan, reason: RejectReason, ahead: float) -> str:
    if reason is RejectReason.TOO_OLD:
        return f"{plan.time_label}: {-ahead:.6g} s before the record's own; at most {plan.limits.too_old:g} s"
    if reason is RejectReason.TOO_FAR_AHEAD:
        return f"{plan.time_label}: {ahead:.6g} s after the record's own; at most {plan.limits.too_far_ahead:g} s"
    if plan.time is None:
        return "the record has no timestamp of its own, and events.timestamp.path names no field"
    expected = "RFC 3339 text with an offset" if plan.unit == "rfc3339" else f"a number of {plan.unit}"
    return f"{plan.time_label}: expected {expected}, in the years 1 to 9999"


def not_a_number(plan: Plan, column: int) -> Fault:
    """Word the fault of a feature that is text, a bool, or anything else but a number."""
    return RejectReason.NOT_A_NUMBER, f"{plan.feature_labels[column]}: expected a number"


def _select(rows: Rows, keep: Bool) -> Rows:
    entities = rows.entities
    if entities is not None:
        entities = [entities[row] for row in np.flatnonzero(keep).tolist()]
    return replace(
        rows,
        offsets=rows.offsets[keep],
        rows=rows.rows[keep],
        times=rows.times[keep],
        values=rows.values[keep],
        entities=entities,
    )


def _rejects(plan: Plan, records: Sequence[Record], found: Found, judged: _Judged, bad: Int64) -> list[Reject]:
    rejects = {n: Reject(records[n], (), (fault[0],), line(fault[1])) for n, fault in found.refused.items()}
    owners = found.owners[bad]
    for rows in np.split(bad, np.flatnonzero(np.diff(owners)) + 1) if len(bad) else ():
        owner = int(found.owners[rows[0]])
        reasons = tuple(_PRECEDENCE[rank] for rank in judged.ranks[rows].tolist())
        detail = line(_explain(plan, judged, int(rows[0])))
        rejects[owner] = Reject(records[owner], tuple(found.numbers[rows].tolist()), reasons, detail)
    return [rejects[n] for n in sorted(rejects)]


def line(text: str) -> str:
    """Make one printable line of at most 200 characters."""
    shown = "".join(c if c.isprintable() else "?" for c in text[:201])
    return shown if len(shown) <= 200 else f"{shown[:199]}…"
