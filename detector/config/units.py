"""Durations and sizes as people write them: 10s, 20ms, 24h, 7d; 64MB, 4MiB."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"": 1, "B": 1, "kB": 1000, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_QUANTITY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


def _quantity(given: object, units: dict[str, float] | dict[str, int], bare: str, example: str) -> object:
    if isinstance(given, bool) or not isinstance(given, (str, int, float)):
        message = f"expected a quantity such as {example}"
        raise ValueError(message)  # noqa: TRY004 - pydantic turns only ValueError into a located message
    if not isinstance(given, str):
        return given
    match = _QUANTITY.fullmatch(given)
    unit = (match[2] or bare) if match else None
    if match is None or unit not in units:
        message = f"expected a quantity such as {example} (units: {', '.join(u for u in units if u)})"
        raise ValueError(message)
    return float(match[1]) * units[unit]


def seconds(given: object) -> object:
    """Turn "20ms", "10s", "24h", "7d" or a plain number of seconds into seconds."""
    value = _quantity(given, _SECONDS, "s", "10s, 20ms, 24h or 7d")
    if isinstance(value, float) and not math.isfinite(value):
        message = "expected a finite duration"
        raise ValueError(message)
    return value


def size(given: object) -> object:
    """Turn "64MB", "4MiB" or a plain number of bytes into bytes."""
    value = _quantity(given, _BYTES, "", "64MB or 4MiB")
    return int(value) if isinstance(value, float) and math.isfinite(value) else value


_QUANTITY_SCHEMA = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]}

Seconds = Annotated[float, BeforeValidator(seconds), Field(gt=0), WithJsonSchema(_QUANTITY_SCHEMA)]
"""A duration in seconds."""

Bytes = Annotated[int, BeforeValidator(size), Field(gt=0), WithJsonSchema(_QUANTITY_SCHEMA)]
"""A size in bytes."""
