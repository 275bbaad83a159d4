"""The declared transforms in plain Python, a row at a time: what the vectorised ones must agree with."""

from __future__ import annotations

import math
from collections import deque
from datetime import UTC, datetime
from typing import Any

from detector.config.sections import Events
from detector.features.layout import missing_of, steps_of

MISSING = math.nan


class PlainEntity:
    """One entity: every row is given to `see`, which returns what the model sees of it."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._features = [_PlainFeature(events, feature) for feature in events.features]

    def see(self, values: list[float], time: float) -> list[float]:
        """Take the next row."""
        now = [feature.see(value, time) for feature, value in zip(self._features, values, strict=True)]
        seen = [current for current, _ in now] + [lag for _, lags in now for lag in lags]
        for cycle in self._events.cycles:
            moment = datetime.fromtimestamp(time, UTC)
            hours = moment.hour + moment.minute / 60 + (moment.second + moment.microsecond / 1e6) / 3600
            part = hours / 24 if cycle == "hour_of_day" else (moment.weekday() + hours / 24) / 7
            seen += [math.sin(2 * math.pi * part), math.cos(2 * math.pi * part)]
        return seen


class _PlainFeature:
    def __init__(self, events: Events, feature: Any) -> None:
        self._missing = missing_of(events, feature)
        self._last = MISSING
        self._steps = [_plain_step(step.kind, step.number) for step in steps_of(events, feature) if step.kind != "lags"]
        lags = [int(step.number) for step in steps_of(events, feature) if step.kind == "lags"]
        self._lags = deque([MISSING] * sum(lags), maxlen=sum(lags))

    def see(self, value: float, time: float) -> tuple[float, list[float]]:
        if not math.isnan(value):
            self._last = value
        elif self._missing == "previous":
            value = self._last
        elif self._missing == "zero":
            value = 0.0
        for step in self._steps:
            value = MISSING if math.isnan(value) else step(value, time)
        lags = list(self._lags)
        self._lags.appendleft(value)
        return value, lags


def _plain_step(kind: str, number: float) -> Any:
    return {"log1p": _Log1p, "difference": _Difference, "rate": _Rate, "ema": _Ema}[kind](number)


class _Log1p:
    def __init__(self, _: float) -> None: ...

    def __call__(self, value: float, _: float) -> float:
        return math.log1p(value) if value >= 0 else -math.log1p(-value)


class _Difference:
    def __init__(self, _: float) -> None:
        self._last = MISSING

    def __call__(self, value: float, _: float) -> float:
        last, self._last = self._last, value
        return value - last


class _Rate:
    def __init__(self, _: float) -> None:
        self._base: tuple[float, float] | None = None

    def __call__(self, value: float, time: float) -> float:
        base = self._base
        if base is not None and time <= base[1]:
            return MISSING
        self._base = (value, time)
        if base is None or value < base[0]:
            return MISSING
        return (value - base[0]) / (time - base[1])


class _Ema:
    def __init__(self, half_life: float) -> None:
        self._alpha = 1.0 - 2.0 ** (-1.0 / half_life)
        self._mean = MISSING

    def __call__(self, value: float, _: float) -> float:
        first = math.isnan(self._mean)
        self._mean = value if first else (1.0 - self._alpha) * self._mean + self._alpha * value
        return self._mean
