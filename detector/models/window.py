"""The window of recent rows that a refit clusters: time-biased reservoirs, bounded per slot and in all.

Rows that the model learned and that are not anomalous go into one, rows that stand out into another, kept apart: a
refit never sees those, but its candidate must still flag them. What detection needs of a window is in the candidate's
control record, so a window is kept in memory alone; after a restart it fills anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from detector.models.bank import Bank
from detector.models.blocks import Block
from detector.models.seeding import draw_key, uniforms
from detector.models.slots import WHOLE, Slots
from detector.types import Bool, Float32, Float64, Int64, Partition

_FIRST_CAPACITY = 1024
_COMING = 4
"""A window begins anew when so many times the most entities have come and gone."""
_APART = 8
"""The rows kept apart have an eighth of the window's room."""


@dataclass(frozen=True, slots=True)
class WindowLimits:
    """rows a slot, bytes in all, half-life in seconds of event time; with more entities nothing is kept."""

    rows: int
    bytes: int
    half_life: float
    entities: int


class Sample(NamedTuple):
    """Rows out of a reservoir: values float32 [n, D], event times float64 [n] (of the ends of their blocks)."""

    rows: Float32
    times: Float64


class Window:
    """Both reservoirs of one partition's model, by entity."""

    def __init__(self, partition: Partition, bank: Bank, slots: Slots, limits: WindowLimits) -> None:
        self._partition = partition
        self._bank = bank
        self._slots = slots
        self._limits = limits
        self._numbers: dict[str, int] = {}
        self._of_slot = np.zeros((0, 2), np.int64)  # the number of its entity, and its tenant at that time
        self._clear()

    def offer(self, block: Block, normal: Bool, apart: Bool) -> None:
        """Offer the rows of a complete block: those that are normal, and those to be kept apart [n]."""
        if len(self._slots) > self._limits.entities or len(self._numbers) > _COMING * self._limits.entities:
            self._clear()
        if len(self._slots) > self._limits.entities:
            return
        topic, number = self._partition
        key = np.array([draw_key("window", topic, number, block.number)], np.uint64)
        drawn = uniforms(key, np.arange(len(block), dtype=np.uint64))
        # The largest of -log(-log u) + log(weight) are a sample by weight without replacement (Efraimidis, 2006).
        keys = math.log(2.0) * block.time / self._limits.half_life - np.log(-np.log(np.maximum(drawn, 1e-300)))
        for reservoir, chosen in ((self._normal, normal), (self._apart, apart)):
            if chosen.any():
                entities = self._entities(block.slots[chosen])
                reservoir.add(entities, block.rows[chosen], np.full(len(entities), block.time), keys[chosen])

    def normal(self, least: int) -> dict[str, Sample]:
        """Return the normal rows of each entity that has at least so many."""
        return self._samples(self._normal, least)

    def apart(self) -> dict[str, Sample]:
        """Return the rows kept apart, by entity."""
        return self._samples(self._apart, 1)

    def _samples(self, reservoir: Reservoir, least: int) -> dict[str, Sample]:
        names = {number: name for name, number in self._numbers.items()}
        return {names[number]: sample for number, sample in reservoir.samples().items() if len(sample.rows) >= least}

    def _entities(self, slots: Int64) -> Int64:
        """Return the number of each slot's entity [n]; a slot that has become another's is looked up anew."""
        short = self._bank.capacity - len(self._of_slot)
        if short > 0:
            self._of_slot = np.concatenate([self._of_slot, np.full((short, 2), -1, np.int64)])
        changed = np.unique(slots[self._of_slot[slots, 1] != self._bank.tenants[slots]])
        for slot in changed.tolist():
            name = self._slots.names[slot] or WHOLE
            number = self._numbers.setdefault(name, len(self._numbers))
            self._of_slot[slot] = number, self._bank.tenants[slot]
        numbers: Int64 = self._of_slot[slots, 0]
        return numbers

    def _clear(self) -> None:
        self._numbers.clear()
        self._of_slot = np.zeros((0, 2), np.int64)
        features, limits = self._bank.shape.features, self._limits
        most = max(_FIRST_CAPACITY, limits.bytes // (4 * features + 24))
        self._normal = Reservoir(features, limits.rows, most - most // _APART)
        self._apart = Reservoir(features, max(1, limits.rows // _APART), most // _APART)


class Reservoir:
    """The rows with the largest keys: `per_entity` of each entity, and in all half of `most`, which fit in memory.

    What cannot be among them any more is not taken in: after a while that is nearly all, and room is rarely made.
    """

    def __init__(self, features: int, per_entity: int, most: int) -> None:
        self._per_entity = per_entity
        self._most = most
        self._held = 0
        self._entities = np.zeros(0, np.int64)
        self._rows = np.zeros((0, features), np.float32)
        self._times = np.zeros(0)
        self._keys = np.zeros(0)
        self._least = -math.inf  # a key that so many rows of all reach as there is room for, and
        self._least_of = np.zeros(0)  # of each entity, one that so many of its own do

    def __len__(self) -> int:
        return self._held

    def add(self, entities: Int64, rows: Float32, times: Float64, keys: Float64) -> None:
        """Add rows [n, D] of entities [n], by their keys [n]; what finds no room in time leaves."""
        short = int(entities.max(initial=-1)) + 1 - len(self._least_of)
        if short > 0:
            self._least_of = np.concatenate([self._least_of, np.full(max(short, _FIRST_CAPACITY), -math.inf)])
        come = np.flatnonzero(keys >= np.maximum(self._least, self._least_of[entities]))
        while len(come):
            if self._held == len(self._rows):
                self._make_room()
            now, come = np.split(come, [len(self._rows) - self._held])
            at = slice(self._held, self._held + len(now))
            self._entities[at], self._rows[at] = entities[now], rows[now]
            self._times[at], self._keys[at] = times[now], keys[now]
            self._held = at.stop

    def samples(self) -> dict[int, Sample]:
        """Return the rows of each entity, the largest keys first."""
        best = self._best()
        if not len(best):
            return {}
        kept = best[np.lexsort((-self._keys[best], self._entities[best]))]
        entities, starts = np.unique(self._entities[kept], return_index=True)
        parts = np.split(kept, starts[1:])
        return {
            entity: Sample(self._rows[part], self._times[part])
            for entity, part in zip(entities.tolist(), parts, strict=True)
        }

    def _best(self) -> Int64:
        """Return which rows stay, in no order."""
        keys, entities = self._keys[: self._held], self._entities[: self._held]
        crowded = np.bincount(entities)[entities] > self._per_entity
        best = np.flatnonzero(~crowded)
        if len(best) < self._held:
            best = np.concatenate([best, self._best_of_each(np.flatnonzero(crowded))])
        if len(best) > (most := max(1, self._most // 2)):
            self._least = float(np.partition(keys[best], -most)[-most])
            best = best[keys[best] >= self._least]
        return best

    def _best_of_each(self, rows: Int64) -> Int64:
        """Return those of the rows [n] that stay, of entities that have too many."""
        rows = rows[np.argsort(-self._keys[rows])]
        rows = rows[np.argsort(self._entities[rows], kind="stable")]
        entities = self._entities[rows]
        rank = np.arange(len(rows)) - np.searchsorted(entities, entities)
        last = rank == self._per_entity - 1
        self._least_of[entities[last]] = self._keys[rows[last]]
        best: Int64 = rows[rank < self._per_entity]
        return best

    def _make_room(self) -> None:
        best = np.sort(self._best())  # in their order in memory: that is twice as fast, and keeps the oldest in front
        if 2 * len(best) >= len(self._rows):
            self._extend(min(self._most, max(_FIRST_CAPACITY, 2 * len(self._rows))))
        self._held = len(best)
        for array in (self._entities, self._rows, self._times, self._keys):
            array[: self._held] = array[best]

    def _extend(self, capacity: int) -> None:
        more = capacity - len(self._rows)
        self._entities = np.concatenate([self._entities, np.zeros(more, np.int64)])
        self._rows = np.concatenate([self._rows, np.zeros((more, self._rows.shape[1]), np.float32)])
        self._times = np.concatenate([self._times, np.zeros(more)])
        self._keys = np.concatenate([self._keys, np.zeros(more)])
