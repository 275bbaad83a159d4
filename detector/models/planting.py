"""Planting: where the slots of a bank get their centroids from, at block boundaries."""

from __future__ import annotations

import numpy as np

from detector.features.smoothing import smooth_by_all
from detector.models.bank import Bank
from detector.models.calibration import begun
from detector.models.scale import scales
from detector.models.seeding import Seeds, UInt64, draw_key, may_be_dead, seed, split_dead
from detector.models.shape import Rules
from detector.models.slots import WHOLE, Slots
from detector.types import Bool, Float32, Float64, Int64, Partition

_AT_ONCE = 64
"""Slots seeded at once: more of them do not fit a processor's cache."""


class Planting:
    """Seeds slots that have gathered enough rows, and splits the heaviest centroid of those that have a dead one.

    `alphas` are the weights [H] of a new score where scores are smoothed, else none. With its centroids a slot gets its
    first sketches.
    """

    def __init__(self, partition: Partition, bank: Bank, slots: Slots, rules: Rules, alphas: Float64) -> None:
        self._partition = partition
        self._bank = bank
        self._slots = slots
        self.rules = rules
        self.alphas = alphas

    def seed(self, slots: Int64) -> None:
        """Give centroids to those of some slots [n] that have gathered their seed rows."""
        bank = self._bank
        slots = slots[bank.unseeded(slots)]
        ready = slots[bank.pool.counts[bank.seeds[slots]] >= bank.seed_rows]
        for start in range(0, len(ready), _AT_ONCE):
            some = ready[start : start + _AT_ONCE]
            self._seed(some, bank.pool.full(bank.seeds[some]))

    def seed_early(self, slots: Int64) -> None:
        """Give centroids to those of some slots [n] that have gathered any seed rows at all."""
        bank = self._bank
        for slot in slots[bank.unseeded(slots)].tolist():
            rows = bank.pool.rows_of(bank.seeds[slot])
            if len(rows):
                self._seed(np.array([slot]), rows[None])

    def split_dead(self, slots: Int64, number: int) -> int:
        """Reseed the dead centroids of those slots [n] at the start of block `number`; returns how many there were."""
        bank, shape = self._bank, self._bank.shape
        slots = slots[~bank.unseeded(slots)]
        if not len(slots):
            return 0
        reseeds = 0
        for member in range(shape.members):
            own = slice(member * shape.centroids, (member + 1) * shape.centroids)
            some = slots[may_be_dead(bank.masses[slots, own])]
            if not len(some):
                continue
            seeds = Seeds(bank.centroids[some, own], bank.masses[some, own], bank.spreads[some, own])
            keys = self._keys(_draw(f"split {number}", member), some)
            dead = split_dead(seeds, bank.means[some], bank.variances[some], keys, self.proven(some)[:, own])
            self._plant(some, own, seeds)
            changed = dead >= 0
            self._unproven(some[changed], own.start + dead[changed])
            reseeds += int(changed.sum())
        return reseeds

    def proven(self, slots: Int64) -> Bool:
        """Tell which centroids [n, C] of some slots have won enough rows over a long enough time."""
        bank, rules = self._bank, self.rules
        lasting = bank.last_wins[slots] - bank.first_wins[slots] >= rules.promote_after
        proven: Bool = (bank.wins[slots] >= rules.promote_count) & lasting
        return proven

    def promote(self, slot: int, seeds: Seeds, first: float, last: float) -> None:
        """Put a proven centroid ([1, D], its mass [1] and spread [1]) in the place of each member's deadest one."""
        bank, shape = self._bank, self._bank.shape
        masses = np.where(self.proven(np.array([slot]))[0], np.inf, bank.masses[slot])
        deadest = masses.reshape(shape.members, shape.centroids).argmin(1)
        at = deadest + np.arange(shape.members) * shape.centroids
        bank.centroids[slot, at], bank.masses[slot, at], bank.spreads[slot, at] = seeds
        bank.wins[slot, at] = max(float(seeds.masses[0]), self.rules.promote_count)
        bank.first_wins[slot, at], bank.last_wins[slot, at] = first, last

    def _seed(self, slots: Int64, rows: Float32) -> None:
        """Seed those slots [n] from as many rows each [n, R, D]."""
        bank, shape = self._bank, self._bank.shape
        apart = np.zeros((shape.members, *rows.shape))
        for member in range(shape.members):
            own = slice(member * shape.centroids, (member + 1) * shape.centroids)
            keys = self._keys(_draw("seed", member), slots)
            seeds, apart[member] = seed(rows, bank.means[slots], bank.variances[slots], shape.centroids, keys)
            self._plant(slots, own, seeds)
        self._unproven(slots)
        squares = apart * apart
        within = squares.mean((0, 2))
        scale = scales(bank.means[slots], bank.variances[slots])
        bank.within[slots] = within * scale * scale
        if self.rules.within:  # as the program measures: a metric that hardly moves has the floor for its scale
            inside = scales(bank.means[slots], bank.within[slots])
            squares = squares * ((scale / inside) ** 2)[None, :, None]
        distances = np.sqrt(squares.sum(3)).mean(0)
        smoothed = self._smoothed(slots, distances)
        bank.sketches[slots, 0], bank.sketches[slots, 1] = begun(smoothed), begun(distances)
        bank.release(slots)

    def _smoothed(self, slots: Int64, distances: Float64) -> Float64:
        """Smooth the distances [n, R] anew: what was smoothed so far are those from one mean, beyond the new sketch."""
        if not len(self.alphas):
            return distances
        count, rows = distances.shape
        state = np.full((count, len(self.alphas)), np.nan)
        smoothed = smooth_by_all(distances.reshape(-1, 1), np.repeat(np.arange(count), rows), state, self.alphas)
        self._bank.smoothed[slots, :: self._bank.views * (1 + self._bank.shape.features)] = state
        return smoothed.reshape(count, rows)

    def _plant(self, slots: Int64, own: slice, seeds: Seeds) -> None:
        self._bank.centroids[slots, own], self._bank.masses[slots, own], self._bank.spreads[slots, own] = seeds

    def _unproven(self, slots: Int64, centroids: Int64 | None = None) -> None:
        """Let centroids (all of them, or one of each slot) begin anew to prove themselves."""
        bank = self._bank
        at = (slots,) if centroids is None else (slots, centroids)
        bank.wins[at], bank.first_wins[at], bank.last_wins[at] = 0.0, 0.0, 0.0

    def _keys(self, draw: str, slots: Int64) -> UInt64:
        topic, number = self._partition
        names = [self._slots.names[slot] or WHOLE for slot in slots.tolist()]
        return np.array([draw_key(draw, topic, number, name) for name in names], np.uint64)


def _draw(what: str, member: int) -> str:
    return f"{what} {member}" if member else what
