"""The transforms of a feature, each over all rows of a batch at once.

A step takes the values [n, F] of F features of rows grouped by slot (NaN = missing), and the running state
[P, width, F] of the P slots, which it advances in place; NaN = nothing yet. What it gives is the same however the rows
are cut into calls. A missing value stays missing and leaves the state as it is, unless the step says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from detector.features.grouping import Grouped, pick
from detector.features.smoothing import smooth, weight
from detector.types import Bool, Float64


class Step(Protocol):
    """One transform; `width` float64 of running state a feature and slot."""

    @property
    def width(self) -> int:
        """Numbers of running state a feature and slot."""

    def __call__(self, values: Float64, state: Float64, rows: Grouped) -> Float64:
        """Transform the values [n, F]; `state` [P, width, F] is advanced in place, the result is a new array."""


@dataclass(frozen=True, slots=True)
class Previous:
    """Puts the slot's last observed value in the place of a missing one."""

    width: int = 1

    def __call__(self, values: Float64, state: Float64, rows: Grouped) -> Float64:
        """Return the values, those that are missing filled in."""
        missing = np.isnan(values)
        before, last = rows.latest(~missing)
        filled = np.where(missing, pick(values, before, state[rows.group, 0]), values)
        state[:, 0] = pick(values, last, state[:, 0])
        return filled


@dataclass(frozen=True, slots=True)
class Zero:
    """Puts 0 in the place of a missing value."""

    width: int = 0

    def __call__(self, values: Float64, state: Float64, rows: Grouped) -> Float64:  # noqa: ARG002 - it needs neither
        """Return the values, those that are missing filled in."""
        return np.where(np.isnan(values), 0.0, values)


@dataclass(frozen=True, slots=True)
class Log1p:
    """sign(x) ln(1 + |x|): for sizes and rates that span decades; negative values have one too."""

    width: int = 0

    def __call__(self, values: Float64, state: Float64, rows: Grouped) -> Float64:  # noqa: ARG002 - it needs neither
        """Return the logarithms."""
        logarithms: Float64 = np.copysign(np.log1p(np.abs(values)), values)
        return logarithms


@dataclass(frozen=True, slots=True)
class Difference:
    """What a value differs by from the slot's last observed one; the first has none (missing)."""

    width: int = 1

    def __call__(self, values: Float64, state: Float64, rows: Grouped) -> Float64:
        """Return the differences."""
        before, last = rows.latest(~np.isnan(values))
        differences = values - pick(values, before, state[rows.group, 0])
        state[:, 0] = pick(values, last, state[:, 0])
        return differences


@dataclass(frozen=True, slots=True)
class Rate:
    """The rise of a counter per second of the slot's event time.

    Missing for the first value, and for one that fell: the counter began anew, so what it rose by is not known. A row
    whose time is not behind that of the last one counted has no rate, and is not counted from either: the next one's
    takes in what it rose by, so no rise is lost or counted twice.
    """

    width: int = 2

    def __call__(self, values: Float64, state: Float64, rows: Grouped) -> Float64:
        """Return the rates."""
        base, since = state[:, 0], state[:, 1]
        newer = _newer(~np.isnan(values), since, rows)
        before, last = rows.latest(newer)
        times = np.broadcast_to(rows.times[:, None], values.shape)
        rise = values - pick(values, before, base[rows.group])
        seconds = times - pick(times, before, since[rows.group])
        counted = newer & (rise >= 0)
        state[:, 0], state[:, 1] = pick(values, last, base), pick(times, last, since)
        rates = np.full(values.shape, np.nan)
        np.divide(rise, seconds, out=rates, where=counted)
        return rates


def _newer(observed: Bool, since: Float64, rows: Grouped) -> Bool:
    """Tell which observed values [n, F] are behind all earlier ones of their slot, and behind `since` [P, F].

    Times become ranks, each slot's above all of the slot before, so that one running maximum serves all slots.
    """
    n, features = observed.shape
    ranks = np.unique(np.concatenate([rows.times, since.ravel()]), return_inverse=True)[1].reshape(-1) + 1
    lowest = np.arange(len(since))[:, None] * (len(ranks) + 2)
    known = lowest + np.where(np.isnan(since), 0, ranks[n:].reshape(len(since), features))
    mine = lowest[rows.group] + np.where(observed, ranks[:n, None], 0)
    so_far = np.maximum.accumulate(mine, axis=0)
    before = known[rows.group]
    np.maximum(before[1:], so_far[:-1], out=before[1:])
    newer: Bool = observed & (mine > before)
    return newer


@dataclass(frozen=True, slots=True)
class Ema:
    """An exponentially weighted mean over the slot's observed values; `half_life` in events."""

    half_life: float
    width: int = 1

    def __call__(self, values: Float64, state: Float64, rows: Grouped) -> Float64:
        """Return the means up to each value."""
        means = state[:, 0].copy()
        smoothed = smooth(values, rows.group, means, weight(self.half_life))
        state[:, 0] = means
        return np.where(np.isnan(values), np.nan, smoothed)


@dataclass(frozen=True, slots=True)
class Lags:
    """The values as they are, and those of the slot's last `width` rows, missing ones too."""

    width: int

    def __call__(self, values: Float64, state: Float64, rows: Grouped) -> Float64:
        """Return [n, (1 + width) F]: the values, then those one row back of each feature, then those two back, ..."""
        n, features = values.shape
        place = np.arange(n)
        behind = place - rows.first[rows.group]
        lagged = np.empty((n, 1 + self.width, features))
        lagged[:, 0] = values
        for back in range(1, self.width + 1):
            held = state[rows.group, np.maximum(back - 1 - behind, 0)]
            lagged[:, back] = np.where((behind >= back)[:, None], values[np.maximum(place - back, 0)], held)
        state[:] = lagged[rows.last, :-1]
        return lagged.reshape(n, (1 + self.width) * features)
