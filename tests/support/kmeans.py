"""The online K-Means again: plain NumPy in float64, a row and a slot at a time, as the program's formulas read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from detector.models.shape import Rules
from detector.types import Bool, Float64, Int64

CLIP = 10.0
FEW = 2
REACH = 1e17


class PlainScore(NamedTuple):
    """What is said of a row: `closest` is the closest member's centroid (and those of members that tie); parts [D].

    `tellers` is the centroid that explains (and those that tie).
    """

    distance: float
    closest: list[int]
    tellers: list[int]
    parts: Float64


class _Row(NamedTuple):
    """A row that waits for its block to be complete."""

    clipped: Float64
    seen: Bool
    nearest: list[int]
    errors: list[float]


@dataclass
class PlainSlot:
    """One slot: centroids [C, D] of all members; masses, spreads, wins, first_wins and last_wins [C]; moments [D]."""

    members: int
    rules: Rules
    centroids: Float64
    masses: Float64
    spreads: Float64
    wins: Float64
    first_wins: Float64
    last_wins: Float64
    means: Float64
    variances: Float64
    weights: Float64
    within: Float64
    gate: float = 0.0
    learned_at: float = 0.0
    waiting: list[_Row] = field(default_factory=list)

    def score(self, row: Float64) -> PlainScore:
        """Judge a row [D] (NaN = missing)."""
        judged = self._judged(row)
        scored = [self._parts(row, self._nearest(row, own[self.normal()[own]])) for own in self._owned()]
        each = [math.sqrt(parts.sum() * len(row) / max(1, judged.sum())) for _, parts in scored]
        closest = [k for (k, _), own in zip(scored, each, strict=True) if math.isclose(own, min(each), rel_tol=1e-5)]
        distance = float(np.mean(each)) if 2 * judged.sum() >= len(row) else math.nan
        tellers = self._tellers(row)
        return PlainScore(distance, closest, tellers, self._parts(row, tellers[0])[1])

    def _tellers(self, row: Float64) -> list[int]:
        """Return the normal centroids of the first member that most features agree with."""
        first = self._owned()[0]
        own = first[self.normal()[first]].tolist() or [0]
        squares = [self._inside(row, k) for k in own]
        apart = [float((each / (1.0 + each)).sum()) for each in squares]
        return sorted(
            (k for k, one in zip(own, apart, strict=True) if math.isclose(one, min(apart), rel_tol=1e-5)),
            key=dict(zip(own, apart, strict=True)).__getitem__,
        )

    def normal(self) -> Bool:
        """Tell which centroids define normal [C]."""
        lasting = self.last_wins - self.first_wins >= self.rules.promote_after
        normal = (self.wins >= self.rules.promote_count) & lasting & (self.masses > 0)
        for own in self._owned():
            held, total = 0.0, self.masses[own].sum()
            for k in sorted(own.tolist(), key=lambda k: -self.masses[k]):
                if self.masses[k] > 0 and held < self.rules.mass * total:
                    normal[k] = True
                held += self.masses[k]
        return normal

    def wait(self, row: Float64) -> None:
        """Keep a row, scored with the model as it is, until `learn`; what lies beyond the gate is not kept."""
        if self.gate > 0 and self.score(row).distance > self.gate:
            return
        nearest = [self._nearest(row, own[self.masses[own] > 0]) for own in self._owned()]
        errors = [float((self._inside(row, k) + self._outside(row)).sum()) for k in nearest]
        self.waiting.append(_Row(self._clipped(row), ~np.isnan(row), nearest, errors))

    def learn(self, time: float) -> None:
        """Learn the rows that wait, their block having ended at `time`."""
        rows, self.waiting = self.waiting, []
        if not rows:
            return
        keep = 1.0
        if self.rules.half_life_events is not None:
            keep = 2.0 ** (-len(rows) / self.rules.half_life_events)
        if self.rules.half_life_time is not None:
            keep = min(keep, 2.0 ** (-max(time - self.learned_at, 0.0) / self.rules.half_life_time))
        self._learn_moments(rows, keep)
        for member, own in enumerate(self._owned()):
            for k in own.tolist():
                won = [row for row in rows if row.nearest[member] == k]
                self._win(k, won, sum(row.errors[member] for row in won), keep, time)
        self.learned_at = max(self.learned_at, time)

    def _win(self, k: int, won: list[_Row], error: float, keep: float, time: float) -> None:
        before = keep * self.masses[k]
        after = before + len(won)
        if won:
            self.spreads[k] = (before * self.spreads[k] + error) / after
            if self.masses[k] == 0:
                self.centroids[k] = np.nan_to_num(self.means)
            else:
                pull = sum(np.where(row.seen, row.clipped - self.centroids[k], 0.0) for row in won)
                self.centroids[k] = self.centroids[k] + pull / after
            if self.wins[k] == 0:
                self.first_wins[k] = time
            elif self.rules.promote_returns and time - self.last_wins[k] >= self.rules.promote_after / 24:
                self.wins[k] += self.rules.promote_count / self.rules.promote_returns
            self.wins[k] += len(won)
            self.last_wins[k] = time
        self.masses[k] = after

    def _learn_moments(self, rows: list[_Row], keep: float) -> None:
        for d in range(len(self.means)):
            values = np.array([row.clipped[d] for row in rows if row.seen[d]])
            before = keep * self.weights[d]
            self.weights[d] = after = before + len(values)
            if not len(values):
                continue
            old = self.means[d]
            mean = (before * old + values.sum()) / after
            spread = before * (self.variances[d] + (old - mean) ** 2) + ((values - mean) ** 2).sum()
            self.means[d], self.variances[d] = mean, spread / after
            around = [
                np.mean([(row.clipped[d] - self.centroids[k, d]) ** 2 for k in row.nearest])
                for row in rows
                if row.seen[d]
            ]
            self.within[d] = (before * self.within[d] + sum(around)) / after

    def _owned(self) -> list[Int64]:
        """Return the numbers of each member's centroids."""
        return np.split(np.arange(len(self.masses)), self.members)

    def _judged(self, row: Float64) -> Bool:
        judged: Bool = ~np.isnan(row) & (self.weights > 0)
        return judged

    def _nearest(self, row: Float64, among: Int64) -> int:
        """Return the first of the nearest; a slot without centroids has one, its first."""
        squares = [self._inside(row, k).sum() for k in among.tolist()]
        return int(among[np.argmin(squares)]) if squares else 0

    def _parts(self, row: Float64, k: int) -> tuple[int, Float64]:
        """Return the centroid's number again, and the features' parts of the squared distance to it [D]."""
        gap = np.where(self._judged(row), row - self.centroids[k], 0.0)
        sd, bound = self._sd(row), np.full(len(row), CLIP)
        if self.rules.within:
            total = sd
            sd = np.sqrt(self.within + gap**2 / (self.weights + 1.0)) + 0.01 * np.abs(np.nan_to_num(self.means)) + 1e-9
            if len(row) <= FEW:
                bound = np.maximum(CLIP * total / sd, CLIP)
        apart = np.abs(gap) / (sd * self._breadth(k) if self.rules.own else sd)
        return k, np.minimum(apart, bound) ** 2 + np.log(np.maximum(apart, bound) / bound) ** 2

    def _breadth(self, k: int) -> float:
        """Return how broad a centroid's cluster is beside its member's, as a factor of a scale."""
        own = next(own for own in self._owned() if k in own)
        pooled = float((self.masses[own] * self.spreads[own]).sum() / max(self.masses[own].sum(), 1e-30))
        rows, spread = self.masses[k], self.spreads[k]
        return float(((300.0 * pooled + rows * spread + 1e-9) / ((300.0 + rows) * pooled + 1e-9)) ** 0.25)

    def _outside(self, row: Float64) -> Float64:
        z = np.where(self._judged(row), np.abs(row - self.means) / self._sd(row), 0.0)
        outside: Float64 = np.log(np.maximum(z, CLIP) / CLIP) ** 2
        return outside

    def _inside(self, row: Float64, k: int) -> Float64:
        return np.where(self._judged(row), (self._clipped(row) - self.centroids[k]) / self._sd(row), 0.0) ** 2

    def _sd(self, row: Float64) -> Float64:
        """Return the scale that this row is judged by: it counts as one more of those learned."""
        mean = np.nan_to_num(self.means)
        itself = np.nan_to_num(row - mean) ** 2 / (self.weights + 1.0)
        return np.sqrt(self.variances + itself) + 0.01 * np.abs(mean) + 1e-9

    def _clipped(self, row: Float64) -> Float64:
        mean = np.nan_to_num(self.means)
        reach = np.where(self.weights > 0, np.minimum(CLIP * self._sd(row), REACH), REACH)
        return np.clip(row, mean - reach, mean + reach)
