from __future__ import annotations

import numpy as np
import pytest

from detector.portion import (
    DecodedPortion,
    details_of,
    records_before,
    records_from,
    rejected_before,
    rejected_from,
    rows_before,
)
from detector.types import PlainRecord, Position, Reject, RejectReason, Rows

RECORDS = [PlainRecord(offset, 0, None, b"") for offset in (3, 4, 7, 9)]
REJECT = Reject(RECORDS[2], (1, 4, 8), (RejectReason.NOT_FINITE, RejectReason.TOO_OLD, RejectReason.NO_ENTITY), "why")
WHOLE = Reject(RECORDS[2], (), (RejectReason.UNDECODABLE,), "why")


def offsets(records: object) -> list[int]:
    assert isinstance(records, list)
    return [record.offset for record in records]


@pytest.mark.parametrize(
    ("position", "before", "behind"),
    [
        (Position(0), [], [3, 4, 7, 9]),
        (Position(4), [3], [4, 7, 9]),
        (Position(4, 2), [3], [4, 7, 9]),
        (Position(5), [3, 4], [7, 9]),
        (Position(10), [3, 4, 7, 9], []),
    ],
)
def test_a_record_that_a_position_lies_in_is_behind_it(
    position: Position, before: list[int], behind: list[int]
) -> None:
    assert offsets(records_before(RECORDS, position)) == before
    assert offsets(records_from(RECORDS, position)) == behind


def test_a_portion_ends_behind_its_last_record() -> None:
    rows = Rows(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0), np.zeros((0, 1)))
    assert DecodedPortion(RECORDS, rows, [], 0).end == 10


@pytest.mark.parametrize(
    ("position", "count"),
    [(Position(3), 0), (Position(3, 1), 0), (Position(3, 3), 1), (Position(4), 2), (Position(9), 4), (Position(10), 5)],
)
def test_rows_before_a_position_are_counted_by_record_and_row(position: Position, count: int) -> None:
    n = 5
    rows = Rows(
        np.array([3, 3, 4, 4, 9]), np.array([2, 3, 0, 1, 0], np.int32), np.zeros(n), np.zeros((n, 1)), ["a"] * n
    )
    assert rows_before(rows, position) == count


@pytest.mark.parametrize(
    ("position", "before", "behind"),
    [
        (Position(7), None, (1, 4, 8)),
        (Position(7, 1), None, (1, 4, 8)),
        (Position(7, 2), (1,), (4, 8)),
        (Position(7, 8), (1, 4), (8,)),
        (Position(7, 9), (1, 4, 8), None),
        (Position(8), (1, 4, 8), (1, 4, 8)),  # what is before the position's record is not asked for again
    ],
)
def test_a_reject_is_divided_at_a_position_row_by_row(
    position: Position, before: tuple[int, ...] | None, behind: tuple[int, ...] | None
) -> None:
    parts = rejected_before(REJECT, position), rejected_from(REJECT, position)
    assert [part and part.rows for part in parts] == [before, behind]
    reasons = dict(zip(REJECT.rows, REJECT.reasons, strict=True))
    assert all(part.reasons == tuple(reasons[row] for row in part.rows) for part in parts if part)


def test_a_record_that_yields_no_rows_is_rejected_where_it_is_read_whole_or_to_its_end() -> None:
    assert rejected_before(WHOLE, Position(8)) is WHOLE
    assert rejected_before(WHOLE, Position(7)) is None
    assert rejected_from(WHOLE, Position(7)) is WHOLE
    assert rejected_from(WHOLE, Position(7, 3)) is WHOLE


def test_each_reason_of_rejects_is_among_the_details() -> None:
    assert details_of([REJECT, WHOLE]) == {
        "not_finite": "why",
        "too_old": "",
        "no_entity": "",
        "undecodable": "why",
    }
