"""Event times as epoch seconds: numbers per unit, and RFC 3339 text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import numpy as np

from detector.types import Float64

PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}

# The years 1 to 9999, as RFC 3339 has them: anything else is a wrong unit or a broken clock.
EARLIEST = -62_135_596_800.0
LATEST = 253_402_300_800.0

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]
_LEAP_SECOND = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d):60(.*)", re.DOTALL)


def from_numbers(numbers: Float64, unit: str) -> Float64:
    """Turn counts of `unit` since the epoch into seconds, shape kept; NaN stays NaN."""
    return numbers if unit == "s" else numbers / PER_SECOND[unit]


def from_texts(texts: Sequence[object]) -> Float64:
    """Turn RFC 3339 texts into seconds [n]; NaN for what is none."""
    try:
        moments: Iterable[datetime] = msgspec.convert(texts, list[_Moment])
    except (msgspec.ValidationError, ValueError):
        return np.array([from_text(text) for text in texts], dtype=np.float64)
    return np.array([(moment - _EPOCH).total_seconds() for moment in moments], dtype=np.float64)


def from_text(text: object) -> float:
    """Turn one RFC 3339 text into seconds, to the microsecond; NaN where it is none.

    A leap second is the first second of the next minute, as POSIX counts.
    """
    if not isinstance(text, str):
        return float("nan")
    leap = _LEAP_SECOND.fullmatch(text)
    try:
        moment = msgspec.convert(f"{leap[1]}:59{leap[2]}" if leap else text, _Moment)
    except (msgspec.ValidationError, ValueError):
        return float("nan")
    return from_datetime(moment) + (1.0 if leap else 0.0)


def from_datetime(moment: datetime) -> float:
    """Turn a moment into seconds; one without an offset is taken as UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH).total_seconds()
