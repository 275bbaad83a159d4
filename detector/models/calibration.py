"""Calibration: from a slot's scores to rates, by a sketch of each slot's own scores and a tail that all slots share.

A slot's sketch is (t, m, n): the 95 % quantile of its scores, their mean excess over it, and how many rows it knows.
u = (score - t) / m brings all slots to one scale; the reference holds the u of the partition, and turns it into a rate.

The quantile is found by stochastic approximation with the step that is best for an exponential tail, whose density at
t is 0.05 / m (Robbins & Monro, 1951; Sacks, 1958):  t <- t + 2 (k - 0.05 b) m / (0.05 n)  where k of b rows lay beyond.
Steps twice as long as those of a plain mean weigh each row by its number: while centroids settle distances shrink, and
what they were at first must fade.
"""

from __future__ import annotations

import math

import numpy as np

from detector.models.reference import Placed, placed
from detector.types import Bool, Float64, Int64

_TAIL = 0.05
_KNOWN = 20_000.0
"""Rows after which a sketch no longer settles, but follows."""
_STEP = 2.0
_EFFICIENCY = (2.0 * _STEP - 1.0) / _STEP**2
"""Such steps make of n rows a mean as uncertain as a plain one of so many of them (Sacks, 1958)."""
_OF_SEEDS = 2.0
"""Excesses that the seed rows are worth beside the rows that `begun` counts them as: of 128 rows there are six, and the
first steps forget some of it."""
_OFFSET = 4.0
"""Added to u, so that the reference's logarithmic scale serves below the quantile too."""
FAR = _OFFSET + 3.0
"""What is far out on the common scale: three mean excesses beyond the quantile, of an exponential tail 1 row in 400."""
_LEAST_SPREAD = 1e-3
"""A mean excess is no less than this share of the quantile: scores of discrete features may not spread at all."""
_LEAST = 0.05
"""Nor less than this: distances are in units of a scale that takes for nothing what is small beside the mean of its
feature, and calibration must not make much of it again. (Without it a slot whose scores were all 0 found whatever came
later a billion mean excesses out, for ever.)"""
_MOST = 5.0
"""No row counts as more mean excesses beyond the quantile: a sketch is but a scale, and one row far out would make it
so wide that the slot hides what comes next. (Of exponential excesses 1 in 150 is that large.)"""
_BOUND = 2.0
"""Rows that are too far out for the reference count as so many mean excesses beyond the quantile: where most rows of a
slot are, its sketch is wrong and must move; a few must hide no others."""
_PRIOR = (1.35, 0.15)
"""Quantile and mean excess of the distance of a row from one mean, in units of the root of the number of features."""


def prior(features: int) -> Float64:
    """Return the sketch of a slot that knows no rows [3]: of distances from one mean, which all slots begin with."""
    return np.array([*(math.sqrt(features) * value for value in _PRIOR), 0.0])


def begun(scores: Float64) -> Float64:
    """Return the sketch of each slot [S, 3] from its first scores [S, R], which are those of its seed rows.

    They were few, and the centroids are still moving, so they count for little.
    """
    rows = scores.shape[1]
    quantile = np.sort(scores, axis=1)[:, min(rows - 1, int((1.0 - _TAIL) * rows))]
    excess = np.maximum(scores - quantile[:, None], 0.0).sum(1) / max(1.0, _TAIL * rows)
    return np.stack([quantile, np.maximum(excess, 0.05 * quantile + _LEAST), np.full(len(scores), 0.25 * rows)], 1)


def followed(sketches: Float64, scores: Float64, group: Int64) -> Float64:
    """Return the sketches of the slots of a block [S, 3] after its scores [n], `group` being their slots [n]."""
    slots = len(sketches)
    t, m, n = np.ascontiguousarray(sketches.T)
    excess = np.maximum(scores - t[group], 0.0)
    rows = np.bincount(group, minlength=slots)
    beyond = np.bincount(group, excess > 0, minlength=slots)
    over = np.bincount(group, excess, minlength=slots)
    after = np.empty_like(sketches)
    known = after[:, 2] = np.minimum(n + rows, _KNOWN)
    held = _TAIL * known / _STEP
    step = np.minimum(np.maximum((beyond - _TAIL * rows) / np.maximum(held, 1.0), -1.0), 1.0)
    quantile = after[:, 0] = np.maximum(t + step * m, 0.0)
    mean = m + (over - beyond * m) / (held + beyond + 1.0)
    np.maximum(mean, _LEAST_SPREAD * quantile + _LEAST, out=after[:, 1])
    return after


def exceeded(quantile: float | Float64, sketches: Float64) -> Float64:
    """Return the score of each sketch [S, 3] that lies at quantiles of the common scale [S]; inf = beyond all."""
    t, m, n = np.ascontiguousarray(sketches.T)
    beyond, known = quantile - _OFFSET, _exceedances(n)
    with np.errstate(over="ignore"):
        u = np.where(beyond > 0.0, known * np.expm1(np.maximum(beyond, 0.0) / known), beyond)
    score: Float64 = t + m * u
    return score


def bounded(scores: Float64, sketches: Float64, far: Bool) -> Float64:
    """Return scores [n] as the sketches of their slots [n, 3] follow them: bounded, those `far` [n] out the nearest.

    Far is what is too far out for the reference.
    """
    most = np.where(far, _BOUND, _MOST)
    return np.minimum(scores, sketches[:, 0] + most * sketches[:, 1])


def common(scores: Float64, sketches: Float64) -> Float64:
    """Return scores [n] on the scale common to all slots, by the sketches of their slots [n, 3].

    The fewer rows a sketch knows, the further beyond its quantile rows come by its error alone. Of exponential excesses
    whose mean was taken from k of them, a share (1 + u / k)^-k exceeds u means (the predictive distribution: Aitchison
    & Dunsmore, 1975), so that u counts as k ln(1 + u / k): slots of every age are on one scale.
    """
    u, known = (scores - sketches[:, 0]) / sketches[:, 1], _exceedances(sketches[:, 2])
    return np.where(u > 0.0, known * np.log1p(np.maximum(u, 0.0) / known), u) + _OFFSET


def scaled(scores: Float64, sketches: Float64) -> Placed:
    """Find the places of scores [n] on the common scale, by the sketches of their slots [n, 3]."""
    return placed(common(scores, sketches))


def _exceedances(rows: Float64) -> Float64:
    """Return of how many excesses a sketch that knows so many rows [n] has its mean: see `followed`."""
    return _OF_SEEDS + _EFFICIENCY * _TAIL * rows
