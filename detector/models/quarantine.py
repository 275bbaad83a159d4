"""Quarantine: the rows of a slot beyond its learning gate, as one micro-cluster, until they turn out to be normal.

A micro-cluster is its weight, the event times of its first and last row, and per feature sums over its values and their
times: bounded, and enough to judge whether they are persistent, dense, and at rest. They are in the units of the
features: the slot's scale moves on within a call of the program, which may hold many blocks or few.

It is a new normal when it has `promote_count` rows (or as many as its slot's pace leaves) over `promote_after`, and
for each feature

    dense    its spread is at most twice the slot's own in all (of which a new normal may fill a whole day's rhythm)
    at rest  no line through its rows explains three quarters of their variance, and leads as far as three times the
             spread within the clusters: that is a slow leak, which must not promote itself. Of one period of a sine a
             line explains 6 / pi^2 = .61 at most
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from detector.models import pace
from detector.models.bank import Bank
from detector.models.known import Known
from detector.models.planting import Planting
from detector.models.scale import scales
from detector.models.seeding import Seeds
from detector.types import Float32, Float64, Int64

_WIDEST = 2.0
_EXPLAINED = 0.75
_TRAVELLED = 3.0
_GAP = 2.0
"""A quarantine that nothing joined for so many times `promote_after` begins anew."""
_ANEW = 500.0
"""Rows that a sketch counts for, at most, when its slot has a new normal: it must move on to other distances soon."""


class Quarantine:
    """The quarantines of a bank's slots."""

    def __init__(self, bank: Bank, planting: Planting, known: Known | None = None) -> None:
        self._bank = bank
        self._known = known
        self._planting = planting

    @property
    def rows(self) -> int:
        """Rows in quarantine, over the slots in memory."""
        places = self._bank.quarantined
        return int(self._bank.clusters.held[places[places >= 0], 0].sum())

    def add(self, slots: Int64, rows: Float32, time: float) -> None:
        """Take in rows [n, D] of slots [n], whose block ended at `time`."""
        seen = np.isfinite(rows)
        values = np.where(seen, rows, 0.0).astype(np.float64)
        present, group = np.unique(slots, return_inverse=True)
        places = self._bank.quarantine(present)
        held = self._bank.clusters.held
        held[places[time - held[places, 2] > _GAP * self._planting.rules.promote_after]] = 0.0
        held[places[held[places, 0] == 0], 1] = time
        held[places, 2] = time
        at = places[group]
        since = (time - held[at, 1])[:, None]
        sums = (seen, values, values * values, since * seen, since * since * seen, since * values)
        np.add.at(held[:, 0], at, 1.0)
        np.add.at(held[:, 3:], at, np.concatenate(sums, 1))

    def promote(self, slots: Int64) -> int:
        """Make centroids of the quarantines that are a new normal, and begin those anew that last and are none.

        Returns how many have become normal.
        """
        bank, rules = self._bank, self._planting.rules
        slots = slots[bank.quarantined[slots] >= 0]
        weight, first, last = bank.clusters.held[bank.quarantined[slots], :3].T
        many = weight >= pace.enough(rules, bank.interval[slots])
        ready = slots[many & (last - first >= rules.promote_after)]
        promoted = sum(self._judge(slot) for slot in ready.tolist())
        bank.end_quarantine(ready)
        return promoted

    def _judge(self, slot: int) -> bool:
        cluster = _Cluster.of(self._bank.clusters.held[self._bank.quarantined[slot]])
        if not self._is_dense(slot, cluster) or self._leaks(slot, cluster) or self._is_fault(slot, cluster):
            return False
        self._accept(slot, cluster)
        return True

    def _is_dense(self, slot: int, cluster: _Cluster) -> bool:
        scale = self._scale(slot)
        return bool((cluster.variance <= (_WIDEST * scale) ** 2).all())

    def _leaks(self, slot: int, cluster: _Cluster) -> bool:
        bank, at = self._bank, np.array([slot])
        within = scales(bank.means[at], bank.within[at])[0]
        far = cluster.travelled > _TRAVELLED * within
        return bool((far & (cluster.explained > _EXPLAINED)).any())

    def _is_fault(self, slot: int, cluster: _Cluster) -> bool:
        """Tell whether an operator has called what lies there a fault."""
        if self._known is None or not self._known.any_fault:
            return False
        centre = np.where(cluster.number > 0, cluster.centre, np.nan)
        return bool(self._known.barred(np.array([slot]), centre[None])[0])

    def _accept(self, slot: int, cluster: _Cluster) -> None:
        bank = self._bank
        self._widen_sketches(slot, float((cluster.variance / self._scale(slot) ** 2).sum()))
        self._learn(slot, cluster)
        spread = np.array([(cluster.variance / self._scale(slot) ** 2).sum()], np.float32)
        known = np.nan_to_num(bank.means[slot])
        coordinates = np.where(cluster.number > 0, cluster.centre, known)[None].astype(np.float32)
        seeds = Seeds(coordinates, np.array([cluster.weight], np.float32), spread)
        self._planting.promote(slot, seeds, cluster.first, cluster.last)

    def _widen_sketches(self, slot: int, spread: float) -> None:
        """Let scores count as usual that are as far out as the rows of the new normal, all of which have one centroid.

        Where they are farther from it than rows were from the centroids so far, all would alert on.
        """
        bank = self._bank
        masses, spreads = bank.masses[slot].astype(np.float64), bank.spreads[slot].astype(np.float64)
        usual = float((masses * spreads).sum() / max(masses.sum(), 1e-9))
        sketches = bank.sketches[slot]
        sketches[:, :2] *= max(1.0, math.sqrt(spread / max(usual, 1e-9)))
        sketches[:, 2] = np.minimum(sketches[:, 2], _ANEW)

    def _scale(self, slot: int) -> Float64:
        at = np.array([slot])
        scale: Float64 = scales(self._bank.means[at], self._bank.variances[at])[0]
        return scale

    def _learn(self, slot: int, cluster: _Cluster) -> None:
        """Let the moments of what is normal now into those of the slot (Chan, Golub & LeVeque, 1983).

        Else its rows would be clipped on their way to their own centroid, and far from it.
        """
        bank, seen = self._bank, cluster.number > 0
        weight = bank.weights[slot].astype(np.float64)
        share = cluster.number / np.maximum(weight + cluster.number, 1.0)
        offset = cluster.centre - np.nan_to_num(bank.means[slot].astype(np.float64))
        mean = bank.means[slot] + share * offset
        within = (1.0 - share) * bank.within[slot] + share * cluster.variance
        both = (1.0 - share) * bank.variances[slot] + share * cluster.variance + share * (1.0 - share) * offset**2
        bank.means[slot] = np.where(seen, mean, bank.means[slot])
        bank.variances[slot] = np.where(seen, both, bank.variances[slot])
        bank.within[slot] = np.where(seen, within, bank.within[slot])
        bank.weights[slot] = weight + cluster.number


class _Cluster(NamedTuple):
    """A micro-cluster as it is judged: number, mean and variance of the values [D], and what a line in time explains.

    travelled  how far that line leads from the first row to the last [D], and explained, its share of the variance [D]
    """

    weight: float
    first: float
    last: float
    number: Float64
    centre: Float64
    variance: Float64
    travelled: Float64
    explained: Float64

    @classmethod
    def of(cls, held: Float64) -> _Cluster:
        """Read the numbers of a place in the cluster pool."""
        weight, first, last = held[:3].tolist()
        count, total, squares, since, since_squares, product = np.split(held[3:], 6)
        values = np.maximum(count, 1.0)
        centre, middle = total / values, since / values
        variance = np.maximum(squares / values - centre * centre, 0.0)
        duration = np.maximum(since_squares / values - middle * middle, 1e-9)
        together = product / values - middle * centre
        explained = together * together / (duration * np.maximum(variance, 1e-300))
        travelled = np.abs(together) / duration * (last - first)
        return cls(weight, first, last, count, centre, variance, travelled, explained)
