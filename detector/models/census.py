"""What the slots of a bank add up to, for metrics: a part of them at a time, as to walk a million is a pause."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.models.bank import Bank
from detector.models.learning import MODES
from detector.types import Int64

_PART = 1 << 15
_AT_ONCE = 4
"""Parts that are counted anew each time: the slots of all but large banks."""


class Counted(NamedTuple):
    """Of the slots in memory.

    warming_up  those that have no centroids yet, or have not learned enough rows to alert
    centroids   centroids with mass
    learning    slots by their learning mode
    """

    warming_up: int
    centroids: int
    learning: dict[str, int]


class Census:
    """The counts of each part of a bank's slots, by when it was counted last."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._counts = np.zeros((0, 2 + len(MODES)), np.int64)
        self._next = 0

    def take(self, warm_up: int) -> Counted:
        """Count some parts anew, and return the sums; `warm_up` is how many rows a slot has to learn."""
        parts = -(-self._bank.capacity // _PART)
        new = parts - len(self._counts)
        self._counts = np.concatenate([self._counts, np.zeros((new, self._counts.shape[1]), np.int64)])
        for part in (np.arange(self._next, self._next + min(parts, _AT_ONCE)) % parts).tolist():
            self._counts[part] = self._count(slice(part * _PART, (part + 1) * _PART), warm_up)
            self._next = (part + 1) % parts
        warming_up, centroids, *modes = self._counts.sum(0).tolist()
        return Counted(warming_up, centroids, dict(zip(MODES, modes, strict=True)))

    def _count(self, part: slice, warm_up: int) -> Int64:
        bank, occupied = self._bank, self._bank.occupied[part]
        warming_up = occupied & ((bank.rows_learned[part] < warm_up) | (bank.seeds[part] >= 0))
        centroids = (bank.masses[part] > 0).sum(1)[occupied]
        modes = np.bincount(bank.modes[part][occupied], minlength=len(MODES))
        return np.array([warming_up.sum(), centroids.sum(), *modes])
