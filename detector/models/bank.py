"""The bank: the states of a partition's slots in plain NumPy arrays, indexed by slot number.

A slot's bytes (`pack`) hold everything that its later scores depend on, so that a slot can leave for the store and
return without changing a bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.models.calibration import prior
from detector.models.incident_state import state_of
from detector.models.program import SlotStates
from detector.models.shape import Shape
from detector.types import Bool, Float32, Float64, Int32, Int64

_FIRST_CAPACITY = 16


class Bank:
    """S slots of one shape; grows by doubling.

    C = M K centroids are those of its first member, then those of the next.

    centroids       float32 [S, C, D]
    traits          float32 [S, 3 C + 4 D + 1]  masses, spreads, wins, means (NaN = feature never seen), variances,
                                                weights, variances within the clusters, learning gate (0 = none)
    times           float64 [S, 1 + 2 C]    event times when the slot last learned, and each centroid first and last won
    sketches        float64 [S, 2, 3]       of smoothed scores, and of scores: 95 % quantile, mean excess, rows
    smoothed        float64 [S, 1 + D]      smoothed score (NaN = none yet) and the features' contributions to it;
                                            [S, 0] where nothing is smoothed
    quarantine      float64 [S, 3 + 3 D]    weight, first, last; values, sums, squares; [S, 0] where nothing is gated
    last_seen       float64 [S]             the partition's event time at the slot's last row
    since           float64 [S]             event time since which the slot's scores are high; NaN = they are not
    incidents       records [S]             the slot's incident: `incident_state.state_of` names its fields
    rows_learned    int64   [S]
    seeds           int32   [S]             place of the slot's seed rows in the seed pool, -1 = none any more
    occupied        bool    [S]             whether the slot is anybody's
    seen            bool    [S]             whether each of its features was seen, so that all have a mean
    """

    def __init__(self, shape: Shape, seed_rows: int, *, smoothing: bool = False, gating: bool = False) -> None:
        self.shape = shape
        self.seed_rows = seed_rows
        self._fixed = np.dtype(
            [
                ("centroids", np.float32, (shape.all_centroids, shape.features)),
                ("traits", np.float32, (shape.traits,)),
                ("times", np.float64, (shape.times,)),
                ("sketches", np.float64, (2, 3)),
                ("smoothed", np.float64, (smoothing * (1 + shape.features),)),
                ("quarantine", np.float64, (gating * (3 + 3 * shape.features),)),
                ("last_seen", np.float64),
                ("since", np.float64),
                ("incident", state_of(shape.features)),
                ("rows_learned", np.int64),
            ]
        )
        self._slots = np.zeros(0, self._fixed)
        self.seeds = np.full(0, -1, np.int32)
        self.occupied = np.zeros(0, np.bool_)
        self.seen = np.zeros(0, np.bool_)
        self.pool = SeedPool(seed_rows, shape.features)
        self._grow(_FIRST_CAPACITY)

    @property
    def capacity(self) -> int:
        """Slots that fit without growing."""
        return len(self._slots)

    @property
    def bytes_per_slot(self) -> int:
        """Bytes of a seeded slot, in memory and on disk alike."""
        return self._fixed.itemsize

    @property
    def centroids(self) -> Float32:
        """Coordinates [S, C, D]."""
        return self._slots["centroids"]

    @property
    def traits(self) -> Float32:
        """Masses, spreads, wins, means, variances, weights, within, learning gate [S, 3 C + 4 D + 1]."""
        return self._slots["traits"]

    @property
    def times(self) -> Float64:
        """Event times when the slot last learned, and when each centroid first and last won [S, 1 + 2 C]."""
        return self._slots["times"]

    @property
    def sketches(self) -> Float64:
        """Of smoothed scores, and of scores: 95 % quantile, mean excess, rows [S, 2, 3]."""
        return self._slots["sketches"]

    @property
    def smoothed(self) -> Float64:
        """Smoothed score, and what each feature contributes to it [S, 1 + D]."""
        return self._slots["smoothed"]

    @property
    def quarantine(self) -> Float64:
        """Weight, first, last; values, sums, sums of squares of gated rows, a feature each [S, 3 + 3 D]."""
        return self._slots["quarantine"]

    @property
    def last_seen(self) -> Float64:
        """Partition's event time at the slot's last row [S]."""
        return self._slots["last_seen"]

    @property
    def incidents(self) -> NDArray[np.void]:
        """What the slot keeps of its incident [S], as records."""
        return self._slots["incident"]

    @property
    def since(self) -> Float64:
        """Event time since which the slot's scores are high [S]."""
        return self._slots["since"]

    @property
    def rows_learned(self) -> Int64:
        """Rows learned [S]."""
        return self._slots["rows_learned"]

    @property
    def masses(self) -> Float32:
        """Masses of the centroids [S, C]; 0 = no centroid."""
        return self._trait(0, self.shape.all_centroids)

    @property
    def spreads(self) -> Float32:
        """Mean squared distance of the rows that a centroid won [S, C]."""
        return self._trait(self.shape.all_centroids, self.shape.all_centroids)

    @property
    def wins(self) -> Float32:
        """Rows that a centroid won, whatever its mass has become [S, C]."""
        return self._trait(2 * self.shape.all_centroids, self.shape.all_centroids)

    @property
    def means(self) -> Float32:
        """Running means [S, D]; NaN where a feature was never seen."""
        return self._trait(3 * self.shape.all_centroids, self.shape.features)

    @property
    def variances(self) -> Float32:
        """Running variances [S, D]."""
        return self._trait(3 * self.shape.all_centroids + self.shape.features, self.shape.features)

    @property
    def weights(self) -> Float32:
        """Rows that the moments of each feature stand for [S, D]."""
        return self._trait(3 * self.shape.all_centroids + 2 * self.shape.features, self.shape.features)

    @property
    def within(self) -> Float32:
        """Running variances about the nearest centroid [S, D]."""
        return self._trait(3 * self.shape.all_centroids + 3 * self.shape.features, self.shape.features)

    @property
    def gates(self) -> Float32:
        """Distance beyond which rows are not learned [S]; 0 = none."""
        return self.traits[:, -1]

    @property
    def first_wins(self) -> Float64:
        """Event time when each centroid first won a row [S, C]; 0 = it has not."""
        return self.times[:, 1 : 1 + self.shape.all_centroids]

    @property
    def last_wins(self) -> Float64:
        """Event time when each centroid last won a row [S, C]."""
        return self.times[:, 1 + self.shape.all_centroids :]

    def _trait(self, start: int, width: int) -> Float32:
        return self.traits[:, start : start + width]

    def reserve(self, slot: int) -> None:
        """Make room for slot number `slot`."""
        if slot >= self.capacity:
            self._grow(max(slot + 1, 2 * self.capacity))

    def clear(self, slots: Int64 | Int32) -> None:
        """Make those slots new ones."""
        self.pool.release(self.seeds[slots])
        self._slots[slots] = np.zeros(1, self._fixed)
        self.means[slots] = np.nan
        self.smoothed[slots] = np.nan
        self.sketches[slots] = prior(self.shape.features)
        self.since[slots] = np.nan
        self.seen[slots] = False
        self.last_seen[slots] = np.inf  # until it is seen: nothing may take a slot away before its first row
        self.seeds[slots] = self.pool.take(len(slots))

    def release(self, slots: Int64) -> None:
        """Free what those slots hold in the seed pool."""
        self.pool.release(self.seeds[slots])
        self.seeds[slots] = -1

    def gather(self, slots: Int64) -> SlotStates:
        """Copy out the states of at most `call_slots` slots, padded to the program's shape."""
        n, padded = len(slots), self.shape.call_slots + 1
        centroids = np.zeros((padded, self.shape.all_centroids, self.shape.features), np.float32)
        traits = np.zeros((padded, self.shape.traits), np.float32)
        times = np.zeros((padded, self.shape.times))
        centroids[:n], traits[:n], times[:n] = self.centroids[slots], self.traits[slots], self.times[slots]
        return SlotStates(centroids, traits, times)

    def scatter(self, slots: Int64, states: SlotStates) -> None:
        """Put the states of `slots` back."""
        n = len(slots)
        self.centroids[slots], self.traits[slots] = states.centroids[:n], states.traits[:n]
        self.times[slots] = states.times[:n]

    def pivot(self, slots: Int64, rows: Float32) -> None:
        """Give each feature of a slot that was never seen the first value observed [n, D] as its mean.

        Moments are taken about the mean; about 0 they would cancel for large values. The centroids begin there too:
        from 0 a feature that turns up late would need as many rows as they have mass to arrive.
        """
        new = ~self.seen[slots]
        if not new.any():
            return
        slots, rows = slots[new], rows[new]
        row, feature = np.nonzero(np.isnan(self.means[slots]) & np.isfinite(rows))
        row, feature = row[::-1], feature[::-1]  # of several values for one place, the last assigned stays: the first
        self.means[slots[row], feature] = rows[row, feature]
        self.centroids[slots[row], :, feature] = rows[row, feature][:, None]
        self.seen[slots] = ~np.isnan(self.means[slots]).any(1)

    def pack(self, slots: Int64) -> list[bytes]:
        """Return each slot's bytes: the fixed part, then its seed rows while it has any."""
        fixed = self._slots[slots]
        raw = fixed.view(np.uint8).reshape(len(slots), self._fixed.itemsize)
        whole = raw.tobytes()
        size = self._fixed.itemsize
        packed = [whole[i : i + size] for i in range(0, len(whole), size)]
        for i, place in enumerate(self.seeds[slots].tolist()):
            if place >= 0:
                packed[i] += self.pool.rows_of(place).tobytes() + b"\x01"
        return packed

    def unpack(self, slots: Sequence[int], packed: Sequence[bytes]) -> None:
        """Put packed states into slots; ValueError where the length does not fit the shape."""
        size = self._fixed.itemsize
        for slot, state in zip(slots, packed, strict=True):
            seeds = len(state) - size
            if seeds < 0 or (seeds and (seeds - 1) % (4 * self.shape.features)):
                message = f"a slot of {len(state)} bytes does not fit a model of {size}"
                raise ValueError(message)
            self._slots[slot] = np.frombuffer(state, self._fixed, 1)[0]
            self.seen[slot] = not np.isnan(self.means[slot]).any()
            self.seeds[slot] = -1
            if seeds:
                rows = np.frombuffer(state, np.float32, (seeds - 1) // 4, size).reshape(-1, self.shape.features)
                self.seeds[slot] = place = self.pool.take(1)[0]
                self.pool.append(np.full(len(rows), place), rows)

    def unseeded(self, slots: Int64) -> Bool:
        """Tell which of those slots still gather seed rows."""
        unseeded: Bool = self.seeds[slots] >= 0
        return unseeded

    def _grow(self, capacity: int) -> None:
        self._slots = _extended(self._slots, capacity, 0)
        self.seeds = _extended(self.seeds, capacity, -1)
        self.occupied = _extended(self.occupied, capacity, False)  # noqa: FBT003 - the value to fill with
        self.seen = _extended(self.seen, capacity, False)  # noqa: FBT003 - likewise


class SeedPool:
    """The first rows of slots that have no centroids yet, kept only until then.

    A million slots may gather seeds at once, so their places are reused and the array grows by doubling.
    """

    def __init__(self, rows: int, features: int) -> None:
        self._rows = np.zeros((0, rows, features), np.float32)
        self.counts = np.zeros(0, np.int64)
        self._free: list[int] = []

    def take(self, n: int) -> Int32:
        """Return n empty places."""
        short = n - len(self._free)
        if short > 0:
            held = len(self.counts)
            more = max(short, held, _FIRST_CAPACITY)
            self._rows = np.concatenate([self._rows, np.zeros((more, *self._rows.shape[1:]), np.float32)])
            self.counts = np.concatenate([self.counts, np.zeros(more, np.int64)])
            self._free.extend(range(held + more - 1, held - 1, -1))
        places = np.array([self._free.pop() for _ in range(n)], np.int32)
        self.counts[places] = 0
        return places

    @property
    def used(self) -> int:
        """Places that are taken."""
        return len(self.counts) - len(self._free)

    def release(self, places: Int32) -> None:
        """Give places back; -1 is none."""
        self._free.extend(places[places >= 0].tolist())

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


def _extended(array: NDArray[Any], length: int, fill: object) -> NDArray[Any]:
    extended = np.full(length, fill, array.dtype) if fill else np.zeros(length, array.dtype)
    extended[: len(array)] = array
    return extended
