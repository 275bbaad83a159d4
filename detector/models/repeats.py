"""Repeats: how surprising it is that a value stands still.

A sensor that is stuck repeats itself exactly. How far that is out of the ordinary depends on the feature: a count is
often the same twice, a disk that does nothing is so all night, a temperature in many digits hardly ever. So two shares
are learned of each feature: p, of repeats among rows whose row before was none, and c, of repeats among those whose row
before was one (a chain of Markov's, of two states). A run of L repeats then has the surprise -ln p - (L - 1) ln c.
"""

from __future__ import annotations

import numpy as np

from detector.types import Float32, Float64, Int64

_LONG = 100.0
"""Repeats after which a run is not more surprising: else nothing could make up for one that never ends."""
_ALIKE = 2.0
"""Repeats that speak for c being no other than p: few have been seen of most features."""


def runs(rows: Float32, slots: Int64, last: Float32, run: Float64) -> Float64:
    """Return how many times in a row each value of rows [n, D] has been repeated [n, D].

    The rows are in order of their `slots` [n], those of one slot in log order; `last` [n, D] is the value before the
    first row of each row's slot, and `run` [n, D] how often that had been repeated. A missing value ends a run.
    """
    at = np.arange(len(rows))
    first = np.searchsorted(slots, slots)
    before = np.empty_like(rows)
    before[1:] = rows[:-1]
    begins = at == first
    before[begins] = last[begins]
    changed = np.where(rows == before, -1, at[:, None])
    np.maximum.accumulate(changed, axis=0, out=changed)
    own = changed >= first[:, None]
    repeated: Float64 = np.where(own, at[:, None] - changed, run + (at - first + 1)[:, None])
    return repeated


def surprise(run: Float64, weight: Float64, repeats: Float64, begun: Float64) -> Float64:
    """Return the surprise of runs [n, D], in nats: `weight` [n, 1] rows are known of the slot.

    `repeats` [n, D] of them were repeats, and `begun` [n, D] of these followed upon a row that was none.
    """
    begins = np.minimum((begun + 1.0) / (np.maximum(weight - repeats, begun) + 2.0), 1.0)
    lasts = np.minimum((np.maximum(repeats - begun, 0.0) + _ALIKE * begins) / (repeats + _ALIKE), 1.0)
    told: Float64 = np.where(run > 0, -np.log(begins) - (np.minimum(run, _LONG) - 1.0) * np.log(lasts), 0.0)
    return told
