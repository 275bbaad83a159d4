"""Transforms as people write them: a name (`rate`), or a name with a number (`{ema: 10}`, `{lags: 3}`)."""

from __future__ import annotations

import math
from typing import Annotated, Literal, NamedTuple, TypeAlias

from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema

PLAIN = ("log1p", "difference", "rate")
"""Transforms that need no number."""

CYCLES = ("hour_of_day", "day_of_week")
"""Cycles of the event time."""

MOST_LAGS = 64

Missing = Literal["ignore", "previous", "zero", "reject"]
Cycle = Literal["hour_of_day", "day_of_week"]


class Step(NamedTuple):
    """A transform: what it is, and its number (half-life of `ema` in events, how many `lags`; 0 for the others)."""

    kind: str
    number: float = 0.0


def step(given: object) -> Step:
    """Read a transform; ValueError, saying what is expected, where it is none."""
    if isinstance(given, str) and given in CYCLES:
        message = f"`{given}` is of the event's time, not of a feature: it belongs to events.cycles"
        raise ValueError(message)
    if isinstance(given, str) and given in PLAIN:
        return Step(given)
    if isinstance(given, dict) and len(given) == 1:
        ((kind, number),) = given.items()
        if kind == "ema":
            return Step(kind, _half_life(number))
        if kind == "lags":
            return Step(kind, _count(number))
    message = f"expected one of {', '.join(PLAIN)}, {{ema: HALF-LIFE IN EVENTS}} or {{lags: HOW MANY}}"
    raise ValueError(message)


def written(transform: Step) -> object:
    """Return what `step` reads."""
    return transform.kind if transform.kind in PLAIN else {transform.kind: transform.number}


def _half_life(given: object) -> float:
    value = _number(given)
    if not 0 < value < math.inf:
        message = "expected `ema` with a half-life in events above 0, such as {ema: 10}"
        raise ValueError(message)
    return value


def _count(given: object) -> int:
    value = _number(given)
    if value not in range(1, MOST_LAGS + 1):
        message = f"expected `lags` with a whole number from 1 to {MOST_LAGS}, such as {{lags: 3}}"
        raise ValueError(message)
    return int(value)


def _number(given: object) -> float:
    """Return a number, which a reference to the environment leaves as text; NaN where it is none."""
    try:
        return math.nan if isinstance(given, bool) else float(given)  # type: ignore[arg-type]  # what fits it not fails
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _with(name: str, number: dict[str, object]) -> dict[str, object]:
    either = {"anyOf": [number, {"type": "string", "pattern": r"\$\{"}]}
    return {"type": "object", "properties": {name: either}, "required": [name], "additionalProperties": False}


_SCHEMA = {
    "anyOf": [
        {"enum": list(PLAIN)},
        _with("ema", {"type": "number", "exclusiveMinimum": 0}),
        _with("lags", {"type": "integer", "minimum": 1, "maximum": MOST_LAGS}),
    ]
}

Transform: TypeAlias = Annotated[Step, PlainValidator(step), PlainSerializer(written), WithJsonSchema(_SCHEMA)]
"""One transform."""


def in_order(steps: list[Step]) -> list[Step]:
    """Refuse transforms behind the lags: those are earlier values of what comes of all the others."""
    if any(one.kind == "lags" for one in steps[:-1]):
        message = "`lags` must be the last transform: they are earlier values of what the others make"
        raise ValueError(message)
    return steps


Transforms: TypeAlias = Annotated[list[Transform], AfterValidator(in_order)]
"""The transforms of a feature, in order."""
