"""The reference: recent distances of a partition, which turn a distance into a rate and a score.

score = -log10(rate), where rate is the expected share of events at least this far out. The bulk is counted; the tail
is a generalised Pareto distribution over the excesses above the 98 % quantile, fitted by the method of moments
(Hosking & Wallis, 1987; peaks over threshold as in Siffer et al., KDD 2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from detector.types import Bool, Float32, Float64

_PER_OCTAVE = 32
_OCTAVES = 60
_LOWEST = 2.0**-20
_BINS = _PER_OCTAVE * _OCTAVES
_EDGES = _LOWEST * 2.0 ** (np.arange(_BINS + 1) / _PER_OCTAVE)
_CENTRES = np.sqrt(_EDGES[:-1] * _EDGES[1:])

_TAIL = 0.02
"""Share of the reference that the tail is fitted to."""
_LEAST_EXCESSES = 20.0
_BEYOND = 30.0
"""A reference of n distances supports rates down to 1 / (_BEYOND n); further out a score says `at least`."""


@dataclass(frozen=True, slots=True)
class _Tail:
    """Excesses over `start`, which a share `rate` of events exceeds, follow GPD(shape, scale)."""

    start: float
    rate: float
    shape: float
    scale: float

    def rates(self, distance: Float64) -> Float64:
        """Return the rate of events beyond each distance [n], all of them past `start`."""
        excess = (distance - self.start) / self.scale
        if abs(self.shape) < 1e-6:
            return self.rate * np.exp(-excess)
        grown = np.maximum(1.0 + self.shape * excess, 0.0)
        rates: Float64 = self.rate * np.where(grown > 0, grown, 0.0) ** (-1.0 / self.shape)
        return rates if self.shape > 0 else np.where(grown > 0, rates, 0.0)


@dataclass(slots=True)
class Reference:
    """A decaying histogram of distances on a logarithmic scale, 32 bins an octave.

    half_life is in events. Changes only in `learn`, at block boundaries.
    """

    half_life: float
    counts: Float64 = field(default_factory=lambda: np.zeros(_BINS))
    _above: Float64 = field(init=False)
    _tail: _Tail | None = field(init=False)
    total: float = field(init=False)

    def __post_init__(self) -> None:
        self._fit()

    def restore(self, counts: Float64) -> None:
        """Take up saved counts [bins]."""
        self.counts = counts
        self._fit()

    def score(self, distance: Float32) -> tuple[Float64, Bool]:
        """Return (score, at_least) of each distance [n]; a score of NaN where the distance is NaN."""
        far = distance.astype(np.float64)
        position = np.clip(np.log2(np.maximum(far, _LOWEST) / _LOWEST) * _PER_OCTAVE, 0, _BINS - 1e-6)
        position = np.where(np.isnan(far), 0.0, position)
        bin_ = position.astype(np.int64)
        rate = (self._above[bin_ + 1] + (1.0 - (position - bin_)) * self.counts[bin_] + 1.0) / (self.total + 1.0)
        if self._tail is not None:
            beyond = far > self._tail.start
            rate[beyond] = self._tail.rates(far[beyond])
        floor = 1.0 / (_BEYOND * (self.total + 1.0))
        at_least = rate < floor
        score = -np.log10(np.minimum(np.maximum(rate, floor), 1.0))
        return np.where(np.isnan(far), np.nan, score), at_least

    def learn(self, distance: Float32) -> None:
        """Add the distances [n] of a block; NaN is passed over."""
        known = distance[np.isfinite(distance)].astype(np.float64)
        if not len(known):
            return
        position = np.log2(np.maximum(known, _LOWEST) / _LOWEST) * _PER_OCTAVE
        added = np.bincount(np.minimum(position.astype(np.int64), _BINS - 1), minlength=_BINS)
        self.counts = self.counts * 2.0 ** (-len(known) / self.half_life) + added
        self._fit()

    def _fit(self) -> None:
        above = np.concatenate([np.cumsum(self.counts[::-1])[::-1], [0.0]])
        self._above, self.total = above, float(above[0])
        self._tail = self._fit_tail()

    def _fit_tail(self) -> _Tail | None:
        if self.total * _TAIL < _LEAST_EXCESSES:
            return None
        first = int(np.searchsorted(-self._above, -_TAIL * self.total, side="left"))
        first = min(first, _BINS - 1)
        held = self._above[first]
        if held <= 0:
            return None
        start = float(_EDGES[first])
        excess, weight = _CENTRES[first:] - start, self.counts[first:]
        mean = float(excess @ weight) / held
        variance = float(((excess - mean) ** 2) @ weight) / held
        if variance <= 0 or not math.isfinite(variance):
            return None
        ratio = mean * mean / variance
        return _Tail(start, held / self.total, 0.5 * (1.0 - ratio), 0.5 * mean * (ratio + 1.0))
