"""Smoothing: causal, exponentially weighted means over the rows of each slot, in log order.

Nobody knows how long a fault will last. A short half-life drowns one that is weak and lasts, a long one a burst. So
scores are smoothed by several, far apart, and their mean is taken: every duration finds a half-life near its own, and
the weight of the past falls about as 1 / age, which prefers no duration.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.features.grouping import in_turn
from detector.types import Float64, Int64


def weight(half_life: float) -> float:
    """Return the weight of a new value, half_life being in rows."""
    return float(1.0 - 2.0 ** (-1.0 / half_life))


def weights(half_lives: Sequence[float]) -> Float64:
    """Return the weights of a new value [H], the half-lives being in rows."""
    return np.array([weight(half_life) for half_life in half_lives], np.float64)


def smooth_by_all(values: Float64, slots: Int64, state: Float64, alphas: Float64) -> Float64:
    """Smooth the values [n, W] by each of H weights: `state` is [S, H W]; returns the mean of the H results [n, W]."""
    count, width = len(alphas), values.shape[1]
    after = smooth(np.tile(values, (1, count)), slots, state, np.repeat(alphas, width))
    total = after[:, :width].copy()
    for number in range(1, count):  # one by one, for the same bits whatever the shape
        total += after[:, number * width : (number + 1) * width]
    mean: Float64 = total / count
    return mean


def smooth(values: Float64, slots: Int64, state: Float64, alpha: float | Float64) -> Float64:
    """Smooth the values [n, W] of rows of slots [n], in log order; `state` [S, W] is advanced in place.

    `alpha` is the weight of a new value, or that of each column [W].

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
