"""Pace: the usual interval between the rows of a slot, by which is judged what is long and what is many for it.

At the boundary behind a block with n rows of a slot, the last of them t seconds (event time of the partition) after its
last row of an earlier block,

    interval <- interval + (1 - 2^(-n / 64)) (min(t / n, 20 max(interval, 1)) - interval)

A pause counts for 20 usual ones at most: an outage is none, and what has become slower is followed within some dozens
of rows all the same. Below a second nothing goes by it. Until the second block with rows of the slot it is unknown.
"""

from __future__ import annotations

import numpy as np

from detector.models.bank import Bank
from detector.models.shape import Rules
from detector.types import Float64, Int64

_HALF_LIFE = 64.0
"""Rows after which what was usual counts half."""
_OF_THE_TIME = 0.9
_LEAST = 10.0
"""Rows without which nothing new is normal, however long it lasts: of fewer nobody knows how they spread."""
LONG = 20.0
"""Intervals that make a long pause: of rows that come at random, one pause in 500 million is as long."""


def follow(bank: Bank, slots: Int64, rows: Int64) -> None:
    """Let those slots' intervals follow a complete block that has so many rows [n] of each of them [n]."""
    now, before, known = bank.last_seen[slots], bank.beat[slots], bank.interval[slots]
    new = (now - before) / rows
    begun = np.isnan(known)
    followed = np.minimum(new, LONG * np.maximum(known, 1.0))
    bank.interval[slots] = np.where(begun, new, known + (1.0 - np.exp2(rows / -_HALF_LIFE)) * (followed - known))
    bank.beat[slots] = now


def enough(rules: Rules, interval: Float64) -> Float64:
    """Return how many rows make what is new normal, of slots of those usual intervals [n]; NaN = unknown.

    `promote_count`; but where that is left to the detector no more than nine tenths of `promote_after` hold.
    """
    if not rules.paced:
        return np.full_like(interval, rules.promote_count)
    held = _OF_THE_TIME * rules.promote_after / np.maximum(interval, 1e-9)
    return np.fmin(rules.promote_count, np.maximum(_LEAST, held))


def longer(seconds: float, interval: Float64) -> Float64:
    """Return the longer of so many seconds and a long pause, of slots of those usual intervals [n]; NaN = unknown."""
    return np.fmax(seconds, LONG * interval)
