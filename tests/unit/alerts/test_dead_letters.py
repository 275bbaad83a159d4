from __future__ import annotations

import msgspec
import pytest

from detector.alerts import dead_letters
from tests.support.alerts import dead_letter


def test_a_dead_letter_keeps_every_byte() -> None:
    for letter in (
        dead_letter(),
        dead_letter(headers=(("h", None),)),
        dead_letter(key=None, value=None, headers=(), rows=(), reasons=("undecodable",)),
    ):
        assert dead_letters.decode(dead_letters.encode(letter)) == letter


def test_other_bytes_are_no_dead_letter() -> None:
    with pytest.raises(msgspec.DecodeError):
        dead_letters.decode(b"\xc1")


def test_a_record_has_one_entry_whatever_its_rows() -> None:
    first = dead_letters.outbox_entry(dead_letter(rows=(1,), reasons=("not_finite",)), "topic-id")
    again = dead_letters.outbox_entry(dead_letter(), "topic-id")
    other = dead_letters.outbox_entry(dead_letter(offset=5), "topic-id")
    assert (first.sink, first.kind) == ("dead_letters", "dead_letter")
    assert first.id == again.id != other.id


@pytest.mark.parametrize(
    ("rows", "text"),
    [((), ""), ((3,), "3"), ((0, 1), "0-1"), ((7, 0, 1, 2), "0-2,7"), ((0, 2, 4), "0,2,4"), ((1, 1, 2), "1-2")],
)
def test_rows_are_told_as_ranges(rows: tuple[int, ...], text: str) -> None:
    assert dead_letters.ranges(rows) == text
