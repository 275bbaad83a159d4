from __future__ import annotations

import math
from datetime import datetime

import numpy as np
import pytest

from detector.decoding import timestamps


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T08:00:00Z", 1795420800.0),
        ("2026-11-23t08:00:00z", 1795420800.0),
        ("2026-11-23 08:00:00.25Z", 1795420800.25),
        ("2026-11-23T13:30:00+05:30", 1795420800.0),
        ("2026-11-23T00:00:00-08:00", 1795420800.0),
        ("2026-11-23T08:00:00.123456Z", 1795420800.123456),
        ("1969-12-31T23:59:59Z", -1.0),
        ("2016-12-31T23:59:60Z", 1483228800.0),
        ("2016-12-31T15:59:60.5-08:00", 1483228800.5),
    ],
)
def test_rfc3339_text_is_read(text: str, expected: float) -> None:
    assert timestamps.from_text(text) == expected
    assert timestamps.from_texts([text, text]).tolist() == [expected, expected]


@pytest.mark.parametrize(
    "text", ["", "2026-11-23", "2026-11-23T08:00:00", "20261123T080000Z", "1795420800", "2026-02-30T00:00:00Z", None, 5]
)
def test_anything_else_is_no_time(text: object) -> None:
    assert math.isnan(timestamps.from_text(text))
    read = timestamps.from_texts(["1970-01-01T00:00:00Z", text])
    assert read[0] == 0
    assert math.isnan(read[1])


@pytest.mark.parametrize(("unit", "number"), [("s", 1.5), ("ms", 1500.0), ("us", 1.5e6), ("ns", 1.5e9)])
def test_numbers_are_read_in_their_unit(unit: str, number: float) -> None:
    assert timestamps.from_numbers(np.array([number]), unit).tolist() == [1.5]


def test_a_moment_without_an_offset_is_utc() -> None:
    assert timestamps.from_datetime(datetime(1970, 1, 2)) == 86400.0  # noqa: DTZ001 - what Avro's local time yields
