"""A portion of records: what it was decoded to, and what of it lies before or behind a position."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import NamedTuple

from detector.types import DeadLetter, Partition, Position, Record, Reject, Rows


@dataclass(frozen=True, slots=True)
class DecodedPortion:
    """Some records and what they were decoded to, without what lies before the partition's position."""

    records: Sequence[Record]
    rows: Rows
    rejects: list[Reject]
    passed_over: int

    @property
    def end(self) -> int:
        """The offset behind the last of the records."""
        return self.records[-1].offset + 1


class Done(NamedTuple):
    """What became of a portion, each row and record counted once.

    rows          rows that were taken
    passed_over   records or rows that `where` or a tombstone left out
    rejected      rejected rows, and records without any, by reason
    dead_letters  records that went to the dead letters
    details       by reason what there is to say of one of them, a line for people; "" where nothing is known
    """

    rows: int
    passed_over: int
    rejected: Counter[str]
    dead_letters: int
    details: dict[str, str]


def details_of(rejects: Sequence[Reject]) -> dict[str, str]:
    """Return what there is to say of rejects, by reason; a reject says it of its first row alone."""
    found = {reason.value: "" for reject in rejects for reason in reject.reasons}
    return found | {reject.reasons[0].value: reject.detail for reject in rejects}


def records_from(records: Sequence[Record], position: Position) -> Sequence[Record]:
    """Return the records from a position on; they are in offset order."""
    first = bisect_left(records, position.offset, key=attrgetter("offset"))
    return records[first:] if first else records


def records_before(records: Sequence[Record], position: Position) -> Sequence[Record]:
    """Return the records that lie before a position altogether; they are in offset order."""
    return records[: bisect_left(records, position.offset, key=attrgetter("offset"))]


def rows_before(rows: Rows, position: Position) -> int:
    """Return how many of some rows, in log order, lie before a position."""
    if not len(rows) or Position(int(rows.offsets[0]), int(rows.rows[0])) >= position:
        return 0
    if Position(int(rows.offsets[-1]), int(rows.rows[-1])) < position:
        return len(rows)
    same = (rows.offsets == position.offset) & (rows.rows < position.row)
    return int(((rows.offsets < position.offset) | same).sum())


def dead_letter(partition: Partition, reject: Reject) -> DeadLetter:
    """Return a reject as it is kept."""
    record = reject.record
    return DeadLetter(
        partition=partition,
        offset=record.offset,
        timestamp=record.timestamp,
        key=record.key,
        value=record.value,
        headers=tuple((name, value) for name, value in record.headers),
        rows=reject.rows,
        reasons=tuple(reason.value for reason in reject.reasons),
        detail=reject.detail,
    )


def rejected_before(reject: Reject, position: Position) -> Reject | None:
    """Return what was rejected before a position, which may lie inside the record."""
    if reject.record.offset != position.offset:
        return reject if reject.record.offset < position.offset else None
    return _rejected_rows(reject, range(position.row))


def rejected_from(reject: Reject, position: Position) -> Reject | None:
    """Return what was rejected from a position on: rows before it went to the dead letters already."""
    if reject.record.offset != position.offset or not reject.rows:
        return reject
    return _rejected_rows(reject, range(position.row, reject.rows[-1] + 1))


def _rejected_rows(reject: Reject, rows: range) -> Reject | None:
    kept = [place for place, row in enumerate(reject.rows) if row in rows]
    if len(kept) == len(reject.rows):
        return reject if kept else None
    kept_rows, reasons = tuple(reject.rows[k] for k in kept), tuple(reject.reasons[k] for k in kept)
    return replace(reject, rows=kept_rows, reasons=reasons) if kept else None
