"""Strays: what lies so far beyond all others that it is none of their distribution.

A few of them among the first rows of a stream would make a tail of the reference that hides all that come later. Two
things tell them, both from the outermost twentieth of what is held. A gap, wider than any tail would leave by chance,
sets them apart, however few they are and whatever the shape of the tail, if it has but a variance. And beyond what one
row in a million would exceed, as the better part of that twentieth has it, there should be none: that is less sure, but
finds faults that came one after another and left no gap. Neither tells anything of values that come in lumps, as counts
do.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from detector.models.tail import Tail
from detector.types import Float64

OUTER = 0.05
"""Share of what is held among which strays are looked for."""
_LEAST_HELD = 20.0
_FEW = 0.005
"""What is more than this share of all is no stray, but usual."""
_MOST_SHAPE = 0.5
"""The heaviest tail that has a variance."""
_CHANCE = 1e-3
"""A gap sets strays apart if it has no greater chance behind a tail of that shape: of Pareto's values the logarithm of
the jth largest lies beyond that of the next by shape / j on average, and by as many times that as an exponential
variable has (Renyi, 1953). A reference looks at dozens of gaps, again and again: what one sets apart by chance counts
once more as soon as rows that come between have closed it."""
LEAST_GAP = 0.06
"""Nor is the gap less, of that logarithm, however many lie beyond: several modes have valleys between them."""
ROW = 0.5
"""What a bin must hold to hold anything: what a row left behind long ago closes no gap, nor is it a stray."""
_LUMP, _SURELY = 0.11, 2.5
"""Share of the outer twentieth that a bin may hold, and the standard errors beyond: of exponential excesses the first
bin holds .09, of Student's .11. Where one holds more values come in lumps, with gaps between them, and no smooth tail:
rare ones are no strays. (Of counts it was .18 to .7; by .25 one seed of ten had what one row in 1,400 exceeds for a
stray, for ever.)"""
_CENSORED = 0.1
"""The outermost share of the twentieth, which the fit leaves out: strays that are fewer than one row in two hundred
hardly move it, where a few of them make any mean excess what they like."""
_MEAN_WITHIN = (0.3232, 0.172, 1.9)
"""The mean of the values within the 90 % quantile of a generalised Pareto distribution, over that quantile, is the
first of these less the second times its shape, within .01 from -.5 to .75 (by the integral); of n rows the shape is
known to the third / sqrt(n) (by simulation)."""
_LEAST_RATE = 1e-6


class Outer(NamedTuple):
    """The outermost bins of a histogram.

    edges   float64 [b + 1]  of the bins; excesses over the first have mean 1, about
    counts  float64 [b]      rows in each
    beyond  float64 [b + 1]  rows in each and those beyond it
    total   rows of the whole histogram
    """

    edges: Float64
    counts: Float64
    beyond: Float64
    total: float

    @property
    def tells(self) -> bool:
        """Whether there are rows enough, which do not come in lumps."""
        held = float(self.beyond[0])
        return held >= _LEAST_HELD and float(self.counts.max()) <= _LUMP * held + _SURELY * math.sqrt(_LUMP * held)


def behind_gap(outer: Outer) -> int | None:
    """Return the number of the first bin behind a gap that is no chance; None = there is no gap."""
    if not outer.tells:
        return None
    taken = np.flatnonzero(outer.counts >= ROW)
    nearer, further = taken[:-1], taken[1:]
    # A generalised Pareto variable of that shape, and of mean 1, is Pareto's, less 1.
    before = outer.edges[0] - 1.0
    gap = np.log((outer.edges[further] - before) / (outer.edges[nearer + 1] - before))
    beyond = np.maximum(outer.beyond[further], 1.0)  # a row is one, however long ago it was
    chance = np.exp(-gap * beyond / _MOST_SHAPE)
    apart = further[(gap >= LEAST_GAP) & (chance <= _CHANCE) & (beyond <= _FEW * outer.total)]
    return int(apart[0]) if len(apart) else None


def unlikely(outer: Outer, least_rate: float) -> float:
    """Return the value that a row in a million would exceed, or a share `least_rate` if that is more; inf = unknown.

    As a generalised Pareto distribution says that has the quantile within which nine tenths of the outer rows are,
    and their mean: its shape is one standard error above, and no lighter than exponential.
    """
    if not outer.tells:
        return math.inf
    edges, counts, beyond = outer.edges, outer.counts, outer.beyond
    held, start = float(beyond[0]), float(edges[0])
    most = (1.0 - _CENSORED) * held
    within = np.diff(np.minimum(held - beyond, most))
    last = int(np.flatnonzero(within)[-1])
    part = float(within[last] / counts[last])
    bound = float((1.0 - part) * edges[last] + part * edges[last + 1]) - start
    mean = float(((np.sqrt(edges[:-1] * edges[1:]) - start) * within).sum()) / most
    at_zero, by_shape, uncertain = _MEAN_WITHIN
    shape = (at_zero - mean / bound) / by_shape + uncertain / math.sqrt(held)
    shape = min(max(shape, 0.0), _MOST_SHAPE)
    scale = bound / Tail(0.0, 1.0, shape, 1.0).value(_CENSORED)
    return Tail(start, held / outer.total, shape, scale).value(max(_LEAST_RATE, least_rate))
