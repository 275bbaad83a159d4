"""The online K-Means again: plain NumPy in float64, a row and a slot at a time, as the formulas of program.py read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from detector.types import Float64

CLIP = 10.0
REACH = 1e17


@dataclass
class PlainSlot:
    """One slot: centroids [K, D]; masses and spreads [K]; means, variances and weights [D]."""

    centroids: Float64
    masses: Float64
    spreads: Float64
    means: Float64
    variances: Float64
    weights: Float64
    learned_at: float = 0.0
    waiting: list[tuple[Float64, int, float, Float64]] = field(default_factory=list)

    def score(self, row: Float64) -> tuple[float, int, Float64]:
        """Return (distance, nearest, parts [D]) of a row [D] (NaN = missing)."""
        judged = ~np.isnan(row) & (self.weights > 0)
        clipped, sd = self._clipped(row), self._sd()
        best, nearest = math.inf, 0
        for k in np.flatnonzero(self.masses > 0).tolist():
            squares = float(sum(((clipped[d] - self.centroids[k, d]) / sd[d]) ** 2 for d in np.flatnonzero(judged)))
            if squares < best:
                best, nearest = squares, k
        parts = np.zeros(len(row))
        for d in np.flatnonzero(judged).tolist():
            z = abs(row[d] - self.means[d]) / sd[d]
            inside = (clipped[d] - self.centroids[nearest, d]) / sd[d]
            parts[d] = inside**2 + math.log(max(z, CLIP) / CLIP) ** 2
        count = int(judged.sum())
        if 2 * count < len(row):
            return math.nan, nearest, parts
        return math.sqrt(parts.sum() * len(row) / count), nearest, parts

    def wait(self, row: Float64) -> None:
        """Keep a row, scored with the model as it is, until `learn`."""
        _, nearest, parts = self.score(row)
        self.waiting.append((self._clipped(row), nearest, float(parts.sum()), ~np.isnan(row)))

    def learn(self, time: float, half_life_events: float | None, half_life_time: float | None) -> None:
        """Learn the rows that wait, their block having ended at `time`."""
        rows, self.waiting = self.waiting, []
        if not rows:
            return
        keep = 1.0
        if half_life_events is not None:
            keep = 2.0 ** (-len(rows) / half_life_events)
        if half_life_time is not None:
            keep = min(keep, 2.0 ** (-max(time - self.learned_at, 0.0) / half_life_time))
        self._learn_moments(rows, keep)
        for k in range(len(self.masses)):
            won = [row for row in rows if row[1] == k]
            before = keep * self.masses[k]
            after = before + len(won)
            if not won:
                self.masses[k] = after
                continue
            self.spreads[k] = (before * self.spreads[k] + sum(error for _, _, error, _ in won)) / after
            if self.masses[k] == 0:
                self.centroids[k] = np.nan_to_num(self.means)
            else:
                pull = sum(np.where(seen, clipped - self.centroids[k], 0.0) for clipped, _, _, seen in won)
                self.centroids[k] = self.centroids[k] + pull / after
            self.masses[k] = after
        self.learned_at = max(self.learned_at, time)

    def _learn_moments(self, rows: list[tuple[Float64, int, float, Float64]], keep: float) -> None:
        for d in range(len(self.means)):
            values = np.array([clipped[d] for clipped, _, _, seen in rows if seen[d]])
            before = keep * self.weights[d]
            self.weights[d] = after = before + len(values)
            if not len(values):
                continue
            old = self.means[d]
            mean = (before * old + values.sum()) / after
            spread = before * (self.variances[d] + (old - mean) ** 2) + ((values - mean) ** 2).sum()
            self.means[d], self.variances[d] = mean, spread / after

    def _sd(self) -> Float64:
        mean = np.nan_to_num(self.means)
        return np.sqrt(self.variances) + 0.01 * np.abs(mean) + 1e-9

    def _clipped(self, row: Float64) -> Float64:
        mean = np.nan_to_num(self.means)
        reach = np.where(self.weights > 0, np.minimum(CLIP * self._sd(), REACH), REACH)
        return np.clip(row, mean - reach, mean + reach)
