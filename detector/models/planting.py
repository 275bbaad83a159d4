"""Planting: where the slots of a bank get their centroids from, at block boundaries."""

from __future__ import annotations

import numpy as np

from detector.models.bank import Bank
from detector.models.seeding import Seeds, UInt64, draw_key, seed, split_dead
from detector.models.slots import WHOLE, Slots
from detector.types import Float32, Int64, Partition

_AT_ONCE = 64
"""Slots seeded at once: more of them do not fit a processor's cache."""


class Planting:
    """Seeds slots that have gathered enough rows, and splits the heaviest centroid of those that have a dead one."""

    def __init__(self, partition: Partition, bank: Bank, slots: Slots) -> None:
        self._partition = partition
        self._bank = bank
        self._slots = slots

    def seed(self, slots: Int64) -> None:
        """Give centroids to those of some slots [n] that have gathered their seed rows."""
        bank = self._bank
        slots = slots[bank.unseeded(slots)]
        ready = slots[bank.pool.counts[bank.seeds[slots]] >= bank.seed_rows]
        if len(ready):
            self._seed(ready, bank.pool.full(bank.seeds[ready]))

    def seed_early(self, slots: Int64) -> None:
        """Give centroids to those of some slots [n] that have gathered any seed rows at all."""
        bank = self._bank
        for slot in slots[bank.unseeded(slots)].tolist():
            rows = bank.pool.rows_of(bank.seeds[slot])
            if len(rows):
                self._seed(np.array([slot]), rows[None])

    def split_dead(self, slots: Int64, number: int) -> int:
        """Reseed the dead centroids of those slots [n] at the start of block `number`; returns how many there were."""
        bank = self._bank
        slots = slots[~bank.unseeded(slots)]
        if not len(slots):
            return 0
        seeds = Seeds(bank.centroids[slots], bank.masses[slots], bank.spreads[slots])
        keys = self._keys(f"split {number}", slots)
        changed = split_dead(seeds, bank.means[slots], bank.variances[slots], keys)
        self._plant(slots, seeds)
        return int(changed.sum())

    def _seed(self, slots: Int64, rows: Float32) -> None:
        """Seed those slots [n] from as many rows each [n, R, D]."""
        bank, keys = self._bank, self._keys("seed", slots)
        for start in range(0, len(slots), _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            at = slots[some]
            self._plant(at, seed(rows[some], bank.means[at], bank.variances[at], bank.shape.centroids, keys[some]))
        bank.release(slots)

    def _plant(self, slots: Int64, seeds: Seeds) -> None:
        self._bank.centroids[slots], self._bank.masses[slots], self._bank.spreads[slots] = seeds

    def _keys(self, draw: str, slots: Int64) -> UInt64:
        topic, number = self._partition
        names = [self._slots.names[slot] or WHOLE for slot in slots.tolist()]
        return np.array([draw_key(draw, topic, number, name) for name in names], np.uint64)
