"""Pools: what only few slots of a bank hold at a time. Places are reused."""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray

from detector.models.growing import extended
from detector.models.incident_state import state_of
from detector.types import Float32, Float64, Int32, Int64

_FIRST_CAPACITY = 16
_CHUNK_BYTES = 8 << 20


class _Places:
    """Numbers of places, given out and taken back."""

    def __init__(self) -> None:
        self.capacity = 0
        self._free = np.zeros(0, np.int32)  # the first `_left` of them
        self._left = 0

    @property
    def used(self) -> int:
        """Places that are taken."""
        return self.capacity - self._left

    def take(self, n: int) -> tuple[Int32, int]:
        """Return n places, and by how many the pool has to grow for them."""
        more = 0
        if n > self._left:
            more = max(n - self._left, self.capacity, _FIRST_CAPACITY)
            new = np.arange(self.capacity + more - 1, self.capacity - 1, -1, dtype=np.int32)
            self._free = np.concatenate([new, self._free[: self._left], np.zeros(self.used, np.int32)])
            self._left += more
            self.capacity += more
        self._left -= n
        return self._free[self._left : self._left + n][::-1].copy(), more

    def release(self, places: Int32) -> None:
        """Take places back."""
        self._free[self._left : self._left + len(places)] = places
        self._left += len(places)


class SeedPool:
    """The first rows of slots that have no centroids yet, kept only until then: a million may gather them at once.

    Rows are in chunks of some megabytes, which the system has back as soon as no place in them is taken.

    counts  int32 [P]  rows at each place
    """

    def __init__(self, rows: int, features: int) -> None:
        self._shape = rows, features
        self._size = max(1, _CHUNK_BYTES // (4 * rows * features))
        self._chunks: list[Float32 | None] = []
        self._taken = np.zeros(0, np.int64)  # places of each chunk that are
        self.counts = np.zeros(0, np.int32)
        self._places = _Places()

    def take(self, n: int) -> Int32:
        """Return n empty places."""
        places, more = self._places.take(n)
        if more:
            self.counts = np.concatenate([self.counts, np.zeros(more, np.int32)])
            new = -(-len(self.counts) // self._size) - len(self._chunks)
            self._chunks += [None] * new
            self._taken = np.concatenate([self._taken, np.zeros(new, np.int64)])
        self._taken += self._by_chunk(places)
        for chunk in np.unique(places // self._size).tolist():
            if self._chunks[chunk] is None:
                self._chunks[chunk] = self._chunk()
        self.counts[places] = 0
        return places

    @property
    def used(self) -> int:
        """Places that are taken."""
        return self._places.used

    @property
    def nbytes(self) -> int:
        """Bytes of the chunks that there are."""
        return sum(chunk.nbytes for chunk in self._chunks if chunk is not None)

    def release(self, places: Int32) -> None:
        """Give places back; -1 is none."""
        places = places[places >= 0]
        if not len(places):
            return
        self._places.release(places)
        self._taken -= self._by_chunk(places)
        for chunk in np.unique(places // self._size).tolist():
            if not self._taken[chunk]:
                self._chunks[chunk] = None

    def append(self, places: Int64 | Int32, rows: Float32) -> None:
        """Add one row [n, D] to each place, in order; what does not fit is left out."""
        order = np.argsort(places, kind="stable")
        sorted_places, rows = places[order], rows[order]
        first = np.searchsorted(sorted_places, sorted_places)
        at = self.counts[sorted_places] + np.arange(len(order)) - first
        fits = at < self._shape[0]
        chunks, within = np.divmod(sorted_places, self._size)
        for chunk in np.unique(chunks).tolist():
            here = fits & (chunks == chunk)
            self._of(chunk)[within[here], at[here]] = rows[here]
        np.maximum.at(self.counts, sorted_places[fits], (at[fits] + 1).astype(np.int32))

    def rows_of(self, place: int) -> Float32:
        """Return the rows at one place [n, D]."""
        chunk, within = divmod(int(place), self._size)
        return self._of(chunk)[within, : self.counts[place]]

    def full(self, places: Int32) -> Float32:
        """Return the rows at full places [n, R, D]."""
        rows = np.empty((len(places), *self._shape), np.float32)
        chunks, within = np.divmod(places, self._size)
        for chunk in np.unique(chunks).tolist():
            here = chunks == chunk
            rows[here] = self._of(chunk)[within[here]]
        return rows

    def _by_chunk(self, places: Int32) -> Int64:
        return np.bincount(places // self._size, minlength=len(self._chunks))

    def _of(self, chunk: int) -> Float32:
        rows = self._chunks[chunk]
        assert rows is not None, f"nobody has taken a place of chunk {chunk}"
        return rows

    def _chunk(self) -> Float32:
        """Return a new chunk, of memory that is the system's again when the chunk goes, and its own until written."""
        size = 4 * self._size * self._shape[0] * self._shape[1]
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        return np.frombuffer(memory, np.float32).reshape(self._size, *self._shape)


class ClusterPool:
    """The micro-clusters of slots that have rows in quarantine.

    held  float64 [P, 3 + 6 D]  weight, event times of the first and last row; then D each: number of the values, their
                                sum, their squares', their times' since the first row, those' squares', and that of
                                values times times
    """

    def __init__(self, features: int) -> None:
        self.held: Float64 = np.zeros((0, 3 + 6 * features))
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
            self.held = extended(self.held, len(self.held) + more)
        self.held[places] = 0.0
        return places

    def release(self, places: Int32) -> None:
        """Give places back; -1 is none."""
        self._places.release(places[places >= 0])


class IncidentPool:
    """What slots keep of their incidents, as long as there is anything to keep.

    held  records [P] of `incident_state.state_of`; place 0 is everybody's who has none, and stays all zero
    """

    def __init__(self, features: int) -> None:
        self.held: NDArray[np.void] = np.zeros(0, state_of(features))
        self._places = _Places()
        self.take(1)

    @property
    def used(self) -> int:
        """Places that are taken."""
        return self._places.used - 1

    def take(self, n: int) -> Int32:
        """Return n places, all zero."""
        places, more = self._places.take(n)
        if more:
            self.held = extended(self.held, len(self.held) + more)
        self.held[places] = np.zeros((), self.held.dtype)
        return places

    def release(self, places: Int32) -> None:
        """Give places back; 0 is none."""
        self._places.release(places[places > 0])
