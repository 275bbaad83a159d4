"""Cycles of the event time: each is two features, the sine and the cosine of its phase, so that its end is its begin.

They are in UTC: another offset would only turn the circle, which changes no distance; and rules of daylight saving
time would be an input beside the log, as the tables of a machine know them.
"""

from __future__ import annotations

import numpy as np

from detector.types import Float64

_DAY = 86400.0
_MONDAY = 4 * _DAY
"""1970-01-05 was a Monday."""

LENGTHS = {"hour_of_day": 24.0, "day_of_week": 7.0}
"""How many of its unit a cycle has: hours from midnight, days from Monday 00:00."""


def phases(cycle: str, times: Float64) -> Float64:
    """Return (sine, cosine) [n, 2] of event times [n] in epoch seconds."""
    turns = times / _DAY if cycle == "hour_of_day" else (times - _MONDAY) / (7.0 * _DAY)
    angle = 2.0 * np.pi * (turns - np.floor(turns))
    return np.stack([np.sin(angle), np.cos(angle)], axis=1)


def at(cycle: str, sine: float, cosine: float) -> float:
    """Return where in its cycle a phase is: the hour of the day, or the day of the week (0 = Monday), in UTC."""
    return float(np.arctan2(sine, cosine) / (2.0 * np.pi) % 1.0) * LENGTHS[cycle]
