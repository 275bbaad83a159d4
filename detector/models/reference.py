"""The reference: recent distances of a partition, which turn a distance into a rate and a score.

score = -log10(rate), where rate is the expected share of events at least this far out. The bulk is counted; the tail
is a generalised Pareto distribution over the 250 largest excesses, at most 2 %, fitted by the method of moments
(Hosking & Wallis, 1987; peaks over threshold as in Siffer et al., KDD 2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from detector.config.alerting import BEYOND
from detector.models.strays import OUTER, ROW, Outer, behind_gap, unlikely
from detector.models.tail import Tail
from detector.types import Bool, Float64, Int64

_PER_OCTAVE = 32
_OCTAVES = 60
_LOWEST = 2.0**-20
_BINS = _PER_OCTAVE * _OCTAVES
_EDGES = _LOWEST * 2.0 ** (np.arange(_BINS + 1) / _PER_OCTAVE)
_CENTRES = np.sqrt(_EDGES[:-1] * _EDGES[1:])

_TAIL = 0.02
"""Share of the reference that the tail is fitted to."""
_MOST_EXCESSES = 250.0
"""Where there are more the tail begins further out: tails follow the fit only far out, and bend on the way there where
features are clipped, or slots of several ages meet (by 1,000 excesses, of rows of three clusters 1 in 25 of those came
that were asked for at 1e-5). Of 250 the shape is uncertain by 1 / sqrt(250): ten times further out than what is counted
that is a factor of 1.7 in the rate, and an expectation that is a seventh too large."""
_COUNTED = 20.0
"""Rates of which so many rows tell are counted, and only what lies further out follows the fit: values of discrete
features come in lumps, which no smooth tail knows of (rows of counts were flagged at 1e-3 twice as often)."""
_LEAST_SCALE = 0.05
_LEAST_EXCESSES = 20.0
_LEAST_SHAPE = -0.1
"""That of the distances of Gaussian rows so far out. A lesser one ends the tail close behind what was seen so far: what
lies behind would have no rate at all, and so never enter the reference."""
_ATOM = 0.25
"""A bin that holds this share of the tail is a value of discrete features."""


class Placed(NamedTuple):
    """Values float64 [n] on the reference's scale, which never changes, and their bins int64 [n]: NaN in the lowest."""

    values: Float64
    bins: Int64


def placed(values: Float64) -> Placed:
    """Find the places of values [n]."""
    position = np.log2(np.fmax(values, _LOWEST) / _LOWEST) * _PER_OCTAVE
    return Placed(values, np.minimum(position, _BINS - 1).astype(np.int64))


@dataclass(slots=True)
class Reference:
    """A decaying histogram of distances on a logarithmic scale, 32 bins an octave.

    half_life is in events; while there are fewer, they count by their number, the newest twice the mean: the first
    distances of a model are not those that it settles at. Changes only in `learn`, at block boundaries.

    Strays count for nothing: they are told of each time while they are fewer than one row in two hundred, until
    centroids take them for normal. Those behind a gap are held, to be told as such, and what is unlikely is cut off.

    unlikely  the value from which on it is; inf = unknown
    strays    the value from which on rows are strays; inf = there are none
    """

    half_life: float
    counts: Float64 = field(default_factory=lambda: np.zeros(_BINS))
    _usual: Float64 = field(init=False)
    _above: Float64 = field(init=False)
    _tail: Tail | None = field(init=False)
    total: float = field(init=False)
    strays: float = field(init=False)
    unlikely: float = field(init=False)

    def __post_init__(self) -> None:
        self._fit()

    @property
    def least_rate(self) -> float:
        """The least rate that so many distances support."""
        return 1.0 / (BEYOND * (self.total + 1.0))

    def restore(self, counts: Float64) -> None:
        """Take up saved counts [bins]."""
        self.counts = counts
        self._fit()

    def rates(self, at: Placed) -> Float64:
        """Return the rate of events at least as far out as each distance [n], no less than `least_rate`."""
        rates = (self._above[at.bins] + 1.0) / (self.total + 1.0)
        if self._tail is not None:
            in_tail = at.values > self._tail.start
            rates[in_tail] = self._tail.rates(at.values[in_tail])
        bounded: Float64 = np.minimum(np.maximum(rates, self.least_rate), 1.0)  # numpy.clip takes three times as long
        return bounded

    def quantile(self, rate: float) -> float:
        """Return the least value that no more than a share `rate` exceeds, as far as the counts tell."""
        return float(_EDGES[self._first(rate)]) if self.total else 0.0

    def threshold(self, rate: float) -> float:
        """Return the least value whose rate, as `rates` tells it, is no more than that; inf where none is known yet."""
        if rate < self.least_rate:
            return math.inf
        tail = self._tail
        if tail is not None and rate < tail.rate:
            return tail.value(rate)
        most = rate * (self.total + 1.0) - 1.0
        if most < 0.0:
            return math.inf
        return float(_EDGES[_BINS + 1 - int(np.searchsorted(self._above[::-1], most, side="right"))])

    def extrapolated(self, rate: float) -> float:
        """Return the value that a share `rate` exceeds as the tail goes on, however few rows support it; else inf.

        It is for telling what is far out from what is further: as a rate nobody should be told of it.
        """
        tail = self._tail
        return self.threshold(rate) if tail is None or rate >= tail.rate else tail.value(rate)

    def holds(self, values: Float64) -> Bool:
        """Tell which values [n] are those of strays that are held, to be told as such."""
        return (values >= self.strays) & (values < self.unlikely)

    def learn(self, bins: Int64) -> None:
        """Add the distances of a block, by their bins [n]."""
        if len(bins):
            added = np.bincount(bins, minlength=_BINS)
            young = 1.0 - len(bins) / (2.0 * self.total + len(bins))
            self.counts = self.counts * min(young, 2.0 ** (-len(bins) / self.half_life)) + added
            stray = int(np.searchsorted(_EDGES, self.strays))
            self.counts[stray:][self.counts[stray:] < ROW] = 0.0
            self._fit()
            never = int(np.searchsorted(_EDGES, self.unlikely))
            if self.counts[never:].any():
                self.counts[never:] = 0.0
                self._fit()

    def _fit(self) -> None:
        self._go_by(self.counts)
        first = self._first(OUTER)
        outer = Outer(_EDGES[first:], self.counts[first:], self._above[first:], self.total)
        self.unlikely = unlikely(outer, self.least_rate)
        self.strays, gap = self.unlikely, behind_gap(outer)
        if gap is not None:
            self.strays = min(self.strays, float(_EDGES[first + gap]))
            self._go_by(np.where(np.arange(_BINS) < first + gap, self.counts, 0.0))
        self._tail = self._fit_tail()

    def _go_by(self, usual: Float64) -> None:
        """Take these counts [bins] for all that is usual."""
        self._usual, self._above = usual, np.zeros(_BINS + 1)
        np.cumsum(usual[::-1], out=self._above[-2::-1])
        self.total = float(self._above[0])

    def _first(self, share: float) -> int:
        """Return the first bin from which on no more than that share is held."""
        first = _BINS + 1 - int(np.searchsorted(self._above[::-1], share * self.total, side="right"))
        return min(first, _BINS - 1)

    def _fit_tail(self) -> Tail | None:
        if self.total * _TAIL < _LEAST_EXCESSES:
            return None
        first = self._first(min(_TAIL, _MOST_EXCESSES / self.total))
        held = float(self._above[first])
        if held <= 0:
            return None
        start = float(_EDGES[first])
        # No dot product: its bits depend on which BLAS kernel a processor gets.
        excess, weight = _CENTRES[first:] - start, self._usual[first:]
        if weight.max() > _ATOM * held:
            return None  # few values, each of them often: between such there is no tail to interpolate
        mean = float((excess * weight).sum()) / held
        variance = float(((excess - mean) ** 2 * weight).sum()) / held
        if variance <= 0 or not math.isfinite(variance):
            return None
        shape = max(0.5 * (1.0 - mean * mean / variance), _LEAST_SHAPE)
        scale = mean * (1.0 - shape)
        # Excesses over a further threshold follow the same shape, and a scale that grows by it (Coles, 2001, 4.2).
        further = max(first, self._first(_COUNTED / self.total))
        beyond = float(_EDGES[further])
        held = float(self._above[further])
        return Tail(beyond, held / self.total, shape, max(scale + shape * (beyond - start), _LEAST_SCALE * scale))
