"""Quarantine: the rows of a slot beyond its learning gate, as one micro-cluster, until they turn out to be normal.

A micro-cluster is its weight, the event times of its first and last row, and per feature the number, the sum and the
sum of squares of its values: bounded, and enough to judge whether they are dense and persistent. They are in the units
of the features: the slot's scale moves on within a call of the program, which may hold many blocks or few.
"""

from __future__ import annotations

import numpy as np

from detector.models.bank import Bank
from detector.models.planting import Planting
from detector.models.scale import scales
from detector.models.seeding import Seeds
from detector.types import Float32, Float64, Int64

_WIDEST = 2.0
"""A new normal spreads at most so many times as far as the median centroid: a slow leak smears over more."""
_GAP = 2.0
"""A quarantine that nothing joined for so many times `promote_after` begins anew."""


class Quarantine:
    """The quarantines of a bank's slots."""

    def __init__(self, bank: Bank, planting: Planting) -> None:
        self._bank = bank
        self._planting = planting

    @property
    def rows(self) -> int:
        """Rows in quarantine, over the slots in memory."""
        places = self._bank.quarantined
        return int(self._bank.clusters.held[places[places >= 0], 0].sum())

    def add(self, slots: Int64, rows: Float32, time: float) -> None:
        """Take in rows [n, D] of slots [n], whose block ended at `time`."""
        bank, features = self._bank, self._bank.shape.features
        seen = np.isfinite(rows)
        values = np.where(seen, rows, 0.0).astype(np.float64)
        present, group = np.unique(slots, return_inverse=True)
        places = bank.quarantine(present)
        held = bank.clusters.held
        held[places[time - held[places, 2] > _GAP * self._planting.rules.promote_after]] = 0.0
        held[places[held[places, 0] == 0], 1] = time
        held[places, 2] = time
        at = places[group]
        np.add.at(held[:, 0], at, 1.0)
        np.add.at(held[:, 3 : 3 + features], at, seen)
        np.add.at(held[:, 3 + features : 3 + 2 * features], at, values)
        np.add.at(held[:, 3 + 2 * features :], at, values * values)

    def promote(self, slots: Int64) -> int:
        """Make centroids of the quarantines that are dense and persistent, and begin those anew that are not dense.

        Returns how many have become normal.
        """
        bank, rules = self._bank, self._planting.rules
        slots = slots[bank.quarantined[slots] >= 0]
        weight, first, last = bank.clusters.held[bank.quarantined[slots], :3].T
        ready = slots[(weight >= rules.promote_count) & (last - first >= rules.promote_after)]
        promoted = sum(self._judge(slot) for slot in ready.tolist())
        bank.end_quarantine(ready)
        return promoted

    def _judge(self, slot: int) -> bool:
        bank, at = self._bank, np.array([slot])
        held = bank.clusters.held[bank.quarantined[slot]]
        weight, first, last = held[:3].tolist()
        count, total, squares = np.split(held[3:], 3)
        values = np.maximum(count, 1.0)
        centre = total / values
        variance = np.maximum(squares / values - centre * centre, 0.0)
        scale = scales(bank.means[at], bank.variances[at])[0]
        spread = float((variance / scale**2).sum())
        usual = float(np.median(bank.spreads[slot][bank.masses[slot] > 0]))
        if spread > _WIDEST**2 * usual:
            return False
        self._learn(slot, count, centre, variance)
        scale = scales(bank.means[at], bank.variances[at])[0]
        spread = float((variance / scale**2).sum())
        coordinates = np.where(count > 0, centre, np.nan_to_num(bank.means[slot]))[None].astype(np.float32)
        seeds = Seeds(coordinates, np.array([weight], np.float32), np.array([spread], np.float32))
        self._planting.promote(slot, seeds, first, last)
        return True

    def _learn(self, slot: int, count: Float64, centre: Float64, variance: Float64) -> None:
        """Let the moments [D] of what is normal now into those of the slot (Chan, Golub & LeVeque, 1983).

        Else its rows would be clipped on their way to their own centroid, and far from it.
        """
        bank, seen = self._bank, count > 0
        weight = bank.weights[slot].astype(np.float64)
        share = count / np.maximum(weight + count, 1.0)
        offset = centre - np.nan_to_num(bank.means[slot].astype(np.float64))
        mean = bank.means[slot] + share * offset
        both = (1.0 - share) * bank.variances[slot] + share * variance + share * (1.0 - share) * offset**2
        bank.means[slot] = np.where(seen, mean, bank.means[slot])
        bank.variances[slot] = np.where(seen, both, bank.variances[slot])
        bank.weights[slot] = weight + count
