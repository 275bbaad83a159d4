"""Pools: what only few slots of a bank hold at a time. Places are reused, and the arrays grow by doubling."""

from __future__ import annotations

import numpy as np

from detector.types import Float32, Float64, Int32, Int64

_FIRST_CAPACITY = 16


class _Places:
    """Numbers of places, given out and taken back."""

    def __init__(self) -> None:
        self.capacity = 0
        self._free: list[int] = []

    @property
    def used(self) -> int:
        """Places that are taken."""
        return self.capacity - len(self._free)

    def take(self, n: int) -> tuple[Int32, int]:
        """Return n places, and by how many the pool has to grow for them."""
        short, more = n - len(self._free), 0
        if short > 0:
            more = max(short, self.capacity, _FIRST_CAPACITY)
            self._free.extend(range(self.capacity + more - 1, self.capacity - 1, -1))
            self.capacity += more
        return np.array([self._free.pop() for _ in range(n)], np.int32), more

    def release(self, places: Int32) -> None:
        """Take places back; -1 is none."""
        self._free.extend(places[places >= 0].tolist())


class SeedPool:
    """The first rows of slots that have no centroids yet, kept only until then: a million may gather them at once."""

    def __init__(self, rows: int, features: int) -> None:
        self._rows = np.zeros((0, rows, features), np.float32)
        self.counts = np.zeros(0, np.int64)
        self._places = _Places()

    def take(self, n: int) -> Int32:
        """Return n empty places."""
        places, more = self._places.take(n)
        if more:
            self._rows = np.concatenate([self._rows, np.zeros((more, *self._rows.shape[1:]), np.float32)])
            self.counts = np.concatenate([self.counts, np.zeros(more, np.int64)])
        self.counts[places] = 0
        return places

    @property
    def used(self) -> int:
        """Places that are taken."""
        return self._places.used

    def release(self, places: Int32) -> None:
        """Give places back; -1 is none."""
        self._places.release(places)

    def append(self, places: Int64 | Int32, rows: Float32) -> None:
        """Add one row [n, D] to each place, in order; what does not fit is left out."""
        order = np.argsort(places, kind="stable")
        sorted_places = places[order]
        first = np.searchsorted(sorted_places, sorted_places)
        at = self.counts[sorted_places] + np.arange(len(order)) - first
        fits = at < self._rows.shape[1]
        self._rows[sorted_places[fits], at[fits]] = rows[order[fits]]
        np.maximum.at(self.counts, sorted_places[fits], at[fits] + 1)

    def rows_of(self, place: int) -> Float32:
        """Return the rows at one place [n, D]."""
        return self._rows[place, : self.counts[place]]

    def full(self, places: Int32) -> Float32:
        """Return the rows at full places [n, R, D]."""
        return self._rows[places]


class _Sums:
    """Places of `width` float64 numbers each.

    held  float64 [P, width]
    """

    def __init__(self, width: int) -> None:
        self.held: Float64 = np.zeros((0, width))
        self._places = _Places()

    @property
    def width(self) -> int:
        """Numbers at a place."""
        return int(self.held.shape[1])

    @property
    def used(self) -> int:
        """Places that are taken."""
        return self._places.used

    def take(self, n: int) -> Int32:
        """Return n places, all 0."""
        places, more = self._places.take(n)
        if more:
            self.held = np.concatenate([self.held, np.zeros((more, self.width))])
        self.held[places] = 0.0
        return places

    def release(self, places: Int32) -> None:
        """Give places back; -1 is none."""
        self._places.release(places)


class ClusterPool(_Sums):
    """The micro-clusters of slots that have rows in quarantine.

    held  float64 [P, 3 + 6 D]  weight, event times of the first and last row; then D each: number of the values, their
                                sum, their squares', their times' since the first row, those' squares', and that of
                                values times times
    """

    def __init__(self, features: int) -> None:
        super().__init__(3 + 6 * features)


class RegionPool(_Sums):
    """Where the rows of open incidents lie.

    held  float64 [P, 4 D]  D each: the first row's values; then of the values' offsets from those the weight, the
                            weighted sum and that of the squares
    """

    def __init__(self, features: int) -> None:
        super().__init__(4 * features)
