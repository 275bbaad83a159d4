"""Smoothing: a causal, exponentially weighted mean over the rows of each slot, in log order."""

from __future__ import annotations

import numpy as np

from detector.features.grouping import in_turn
from detector.types import Float64, Int64


def weight(half_life: float) -> float:
    """Return the weight of a new value, half_life being in rows."""
    return float(1.0 - 2.0 ** (-1.0 / half_life))


def smooth(values: Float64, slots: Int64, state: Float64, alpha: float) -> Float64:
    """Smooth the values [n, W] of rows of slots [n], in log order; `state` [S, W] is advanced in place.

    Returns what the state of its slot was behind each row [n, W]. A state of NaN is none yet; a value of NaN leaves it
    as it is. Each step is the same multiplication and addition however the rows are cut into calls, so the bits are
    the same too.
    """
    smoothed, gaps = np.empty_like(values), bool(np.isnan(values).any())
    for rows in in_turn(slots):
        at = slots[rows]
        before, new = state[at], values[rows]
        after = np.where(np.isnan(before), new, (1.0 - alpha) * before + alpha * new)
        if gaps:
            after = np.where(np.isnan(new), before, after)
        state[at], smoothed[rows] = after, after
    return smoothed
