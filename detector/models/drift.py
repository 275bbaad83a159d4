"""Drift: since when a slot's scores have stayed high.

A slot drifts from the first row on whose score lies beyond the level that all but 5 % of its scores keep under (the
quantile that its sketch holds), and as long as no score comes back under it. It is the simplest answer to "since when":
a run, whose start the next low score forgets, so that what is over cannot make a later fault look older, as the long
way back to zero of a cumulative sum (CUSUM) would. Rows of one slot by themselves exceed the level so often that the
run of a lone outlier begins with itself; where scores are smoothed, one normal row does not break a run.
"""

from __future__ import annotations

import numpy as np

from detector.features.grouping import Grouped
from detector.types import Bool, Float64


def follow(state: Float64, rows: Grouped, high: Bool) -> Float64:
    """Advance the drift of slots by rows [n] in log order, and return since when the slot drifted behind each [n].

    state  float64 [S]  event time since which each slot drifts, NaN = it does not; advanced in place
    high   bool    [n]  whether the row's score lies beyond its slot's level
    """
    since = np.full(len(high), np.nan)
    if high.any():
        rises, at, first = high[rows.order], np.arange(len(high)), rows.first[rows.group]
        last_low = np.maximum.accumulate(np.where(rises, -1, at))
        unbroken = last_low < first
        begun = state[rows.slots][rows.group]
        fresh = rows.times[np.minimum(np.where(unbroken, first, last_low + 1), at)]
        since = np.where(unbroken & ~np.isnan(begun), begun, fresh)
        since[~rises] = np.nan
    state[rows.slots] = since[rows.last]
    result = np.empty(len(high))
    result[rows.order] = since
    return result
