"""What one value of an event counts as: number, name or match. The slow path's rules, which the fast paths keep."""

from __future__ import annotations

import math
from decimal import Decimal

import msgspec

Expected = str | int | float | bool

_NUMBER = msgspec.json.Decoder(float)
_SCALAR = msgspec.json.Decoder(str | int | float | bool | None)


def number(value: object) -> float | None:
    """Read a number: null is NaN (missing), one beyond float64 or NaN itself is infinite, None = not a number."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    try:
        result = float(value)
    except (OverflowError, ValueError):
        return math.inf
    return math.inf if math.isnan(result) else result


def number_text(text: str | None) -> float | None:
    """Read a number written as JSON has it; results as in `number`."""
    if text is None:
        return math.nan
    try:
        return _NUMBER.decode(text)
    except msgspec.ValidationError:
        return math.inf if text.strip()[:1] in tuple("-0123456789") else None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def name(value: object, limit: int) -> str | None:
    """Read an entity's name, from text or an integer; None where missing, empty or above `limit` bytes of UTF-8."""
    if isinstance(value, int) and not isinstance(value, bool):
        # Whatever has more bits than the limit has digits to hold is too long, and str() refuses huge integers.
        value = str(value) if value.bit_length() < 1024 else None
    if not isinstance(value, str) or not value:
        return None
    return value if len(value) * 4 <= limit or len(value.encode()) <= limit else None


def matches(value: object, expected: Expected) -> bool:
    """Tell whether a value equals the one of `where`: numbers compare as float64, and a bool is not a number."""
    if isinstance(expected, (str, bool)):
        return type(value) is type(expected) and value == expected
    found = number(value)
    return found is not None and found == float(expected)


def matches_text(text: str | None, expected: Expected) -> bool:
    """Tell whether a header's text equals the value of `where`: text as it is, number or bool as JSON writes it."""
    if text is None or isinstance(expected, str):
        return text == expected
    try:
        return matches(_SCALAR.decode(text), expected)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
