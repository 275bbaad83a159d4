"""Quarantine: the rows of a slot beyond its learning gate, as one micro-cluster, until they turn out to be normal.

A micro-cluster is its weight, the event times of its first and last row, and per feature the sum and the sum of
squares of its rows, standardised by the slot: bounded, and enough to judge whether they are dense and persistent.
"""

from __future__ import annotations

import numpy as np

from detector.models.bank import Bank
from detector.models.planting import Planting
from detector.models.seeding import Seeds, scales
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
        self.promoted = 0

    def add(self, slots: Int64, rows: Float32, time: float) -> None:
        """Take in rows [n, D] of slots [n], whose block ended at `time`."""
        held, features = self._bank.quarantine, self._bank.shape.features
        z = self._standardised(slots, rows)
        stale = np.unique(slots[time - held[slots, 2] > _GAP * self._planting.rules.promote_after])
        held[stale] = 0.0
        new = np.unique(slots[held[slots, 0] == 0])
        held[new, 1] = time
        np.add.at(held, (slots, 0), 1.0)
        held[slots, 2] = time
        np.add.at(held[:, 3 : 3 + features], slots, z)
        np.add.at(held[:, 3 + features :], slots, z * z)

    def promote(self, slots: Int64) -> int:
        """Make centroids of the quarantines that are dense and persistent, and begin those anew that are not dense."""
        held, rules = self._bank.quarantine, self._planting.rules
        lasting = held[slots, 2] - held[slots, 1] >= rules.promote_after
        ready = slots[(held[slots, 0] >= rules.promote_count) & lasting]
        promoted = 0
        for slot in ready.tolist():
            promoted += self._judge(slot)
            held[slot] = 0.0
        self.promoted += promoted
        return promoted

    def _judge(self, slot: int) -> bool:
        bank, features = self._bank, self._bank.shape.features
        weight, first, last = bank.quarantine[slot, :3].tolist()
        mean = bank.quarantine[slot, 3 : 3 + features] / weight
        spread = float(np.maximum(bank.quarantine[slot, 3 + features :] / weight - mean * mean, 0.0).sum())
        usual = float(np.median(bank.spreads[slot][bank.masses[slot] > 0]))
        if spread > _WIDEST**2 * usual:
            return False
        at = np.array([slot])
        centre, scale = np.nan_to_num(bank.means[at].astype(np.float64)), scales(bank.means[at], bank.variances[at])
        coordinates = (centre + mean * scale).astype(np.float32)
        seeds = Seeds(coordinates, np.array([weight], np.float32), np.array([spread], np.float32))
        self._planting.promote(slot, seeds, first, last)
        return True

    def _standardised(self, slots: Int64, rows: Float32) -> Float64:
        mean = self._bank.means[slots]
        z: Float64 = (rows - np.nan_to_num(mean.astype(np.float64))) / scales(mean, self._bank.variances[slots])
        return np.nan_to_num(z)
