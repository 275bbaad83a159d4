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
from detector.models.lending import blank
from detector.models.pools import ClusterPool, RegionPool, SeedPool
from detector.models.program import SlotStates
from detector.models.relations_state import begun
from detector.models.relations_state import state_of as relations_of
from detector.models.shape import Frame, Shape
from detector.types import Bool, Float32, Float64, Int32, Int64

_FIRST_CAPACITY = 16
_SEEDS, _CLUSTER, _REGION = 1, 2, 4
"""What the last byte of a packed slot says that it has behind its fixed part."""


class Bank:
    """S slots of one shape; grows by doubling.

    C = M K centroids are those of its first member, then those of the next.

    centroids       float32 [S, C, D]
    traits          float32 [S, 3 C + 4 D + 1]  masses, spreads, wins, means (NaN = feature never seen), variances,
                                                weights, variances within the clusters, learning gate (0 = none)
    times           float64 [S, 1 + 2 C]    event times when the slot last learned, and each centroid first and last won
    sketches        float64 [S, 2, 3]       of smoothed scores, and of scores: 95 % quantile, mean excess, rows
    smoothed        float64 [S, H V (1 + D)]  for each of H half-lives and V views the smoothed score (NaN = none yet),
                                            and each feature's part of its square
    history         float64 [S, W]          running state of the transforms; NaN = nothing yet
    first_seen      float64 [S]             the partition's event time at the slot's first row
    last_seen       float64 [S]             the partition's event time at the slot's last row
    pause           float64 [S]             its longest pause of late (see `awaiting`); -inf = none
    awaited         float64 [S]             event time from which on it is absent; inf = never
    since           float64 [S]             event time since which the slot's scores are high; NaN = they are not
    incidents       records [S]             the slot's incident: `incident_state.state_of` names its fields
    relations       records [S]             what is known of its features' relations, where that is kept at all:
                                            `relations_state.state_of` names its fields
    rows_learned    int64   [S]
    kept_up         int64   [S]             number of the block before which the slot was last kept up
    seeds           int32   [S]             place of the slot's seed rows in the seed pool, -1 = none any more
    quarantined     int32   [S]             place of its quarantine in the cluster pool, -1 = it has none
    regions         int32   [S]             place in the region pool of where its incident's rows lie, -1 = none is open
    modes           int8    [S]             its learning mode, which its entity's name decides
    occupied        bool    [S]             whether the slot is anybody's
    tenants         int64   [S]             counts whose slot it has been, over all slots: the same = the same entity's
    seen            bool    [S]             whether each of its features was seen, so that all have a mean
    """

    def __init__(
        self, shape: Shape, seed_rows: int, *, smoothing: int = 0, history: int = 0, relations: bool = False
    ) -> None:
        self.shape = shape
        self.seed_rows = seed_rows
        self.views = 2 if relations else 1
        self._fixed = np.dtype(
            [
                ("awaited", np.float64),  # at the front, where the store finds it without reading a slot
                ("centroids", np.float32, (shape.all_centroids, shape.features)),
                ("traits", np.float32, (shape.traits,)),
                ("times", np.float64, (shape.times,)),
                ("sketches", np.float64, (2, 3)),
                ("smoothed", np.float64, (smoothing * self.views * (1 + shape.features),)),
                ("history", np.float64, (history,)),
                ("first_seen", np.float64),
                ("pause", np.float64),
                ("last_seen", np.float64),
                ("since", np.float64),
                ("incident", state_of(shape.features)),
                ("rows_learned", np.int64),
                ("kept_up", np.int64),
                *([("relations", relations_of(shape.features))] if relations else []),
            ]
        )
        self._slots = np.zeros(0, self._fixed)
        self._new = np.zeros(1, self._fixed)
        if relations:
            self._new["relations"] = begun(shape.features)
        self.seeds = np.full(0, -1, np.int32)
        self.quarantined = np.full(0, -1, np.int32)
        self.regions = np.full(0, -1, np.int32)
        self.modes = np.zeros(0, np.int8)
        self.occupied = np.zeros(0, np.bool_)
        self.tenants = np.zeros(0, np.int64)
        self.seen = np.zeros(0, np.bool_)
        self.pool = SeedPool(seed_rows, shape.features)
        self.clusters = ClusterPool(shape.features)
        self.extents = RegionPool(shape.features)
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
        """For each half-life and view the smoothed score, and each feature's part of its square [S, H V (1 + D)]."""
        return self._slots["smoothed"]

    @property
    def history(self) -> Float64:
        """Running state of the transforms [S, W]."""
        return self._slots["history"]

    @property
    def first_seen(self) -> Float64:
        """Partition's event time at the slot's first row [S]."""
        return self._slots["first_seen"]

    @property
    def pause(self) -> Float64:
        """Longest pause of late of the slot's rows [S], as `awaiting` keeps it."""
        return self._slots["pause"]

    @property
    def awaited(self) -> Float64:
        """Event time from which on the slot's entity is absent [S]."""
        return self._slots["awaited"]

    @property
    def last_seen(self) -> Float64:
        """Partition's event time at the slot's last row [S]."""
        return self._slots["last_seen"]

    @property
    def incidents(self) -> NDArray[np.void]:
        """What the slot keeps of its incident [S], as records."""
        return self._slots["incident"]

    @property
    def relations(self) -> NDArray[np.void]:
        """What is known of the relations of the slot's features [S], as records; only where that is kept."""
        return self._slots["relations"]

    @property
    def since(self) -> Float64:
        """Event time since which the slot's scores are high [S]."""
        return self._slots["since"]

    @property
    def rows_learned(self) -> Int64:
        """Rows learned [S]."""
        return self._slots["rows_learned"]

    @property
    def kept_up(self) -> Int64:
        """Number of the block before which each slot was last kept up [S]."""
        return self._slots["kept_up"]

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
        self.vacate(slots)
        self._slots[slots] = self._new
        self.means[slots] = np.nan
        self.smoothed[slots] = np.nan
        self.history[slots] = np.nan
        self.sketches[slots] = prior(self.shape.features)
        self.since[slots] = np.nan
        self.pause[slots] = -np.inf
        self.awaited[slots] = np.inf
        self.seen[slots] = False
        self.last_seen[slots] = np.inf  # until it is seen: nothing may take a slot away before its first row
        self.seeds[slots] = self.pool.take(len(slots))

    def release(self, slots: Int64 | Int32) -> None:
        """Free what those slots hold in the seed pool."""
        self.pool.release(self.seeds[slots])
        self.seeds[slots] = -1

    def vacate(self, slots: Int64 | Int32) -> None:
        """Free what those slots hold in any pool."""
        self.release(slots)
        self.end_quarantine(slots)
        self.end_region(slots)

    def quarantine(self, slots: Int64) -> Int32:
        """Return the places of those slots' quarantines (each slot once), begun where there are none."""
        new = slots[self.quarantined[slots] < 0]
        self.quarantined[new] = self.clusters.take(len(new))
        return self.quarantined[slots]

    def end_quarantine(self, slots: Int64 | Int32) -> None:
        """Forget what those slots have in quarantine."""
        self.clusters.release(self.quarantined[slots])
        self.quarantined[slots] = -1

    def begin_region(self, slot: int) -> int:
        """Return a new place in the region pool for a slot."""
        self.end_region(np.array([slot]))
        self.regions[slot] = place = self.extents.take(1)[0]
        return int(place)

    def end_region(self, slots: Int64 | Int32) -> None:
        """Forget where the incidents of those slots lie."""
        self.extents.release(self.regions[slots])
        self.regions[slots] = -1

    def gather(self, slots: Int64, frame: Frame) -> SlotStates:
        """Copy out the states of some slots, padded to what the program takes in a frame."""
        n, padded = len(slots), self.shape.slots_of(frame) + 1
        centroids = blank((padded, self.shape.all_centroids, self.shape.features), np.float32)
        traits = blank((padded, self.shape.traits), np.float32)
        times = blank((padded, self.shape.times), np.float64)
        centroids[:n], traits[:n], times[:n] = self.centroids[slots], self.traits[slots], self.times[slots]
        centroids[-1], traits[-1], times[-1] = 0.0, 0.0, 0.0  # of the others nothing is read
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
        """Return each slot's bytes: the fixed part; then its seed rows, quarantine and region while it has any."""
        fixed = self._slots[slots]
        raw = fixed.view(np.uint8).reshape(len(slots), self._fixed.itemsize)
        whole = raw.tobytes()
        size = self._fixed.itemsize
        packed = [whole[i : i + size] for i in range(0, len(whole), size)]
        seeds, clusters, regions = self.seeds[slots], self.quarantined[slots], self.regions[slots]
        for i in np.flatnonzero((seeds >= 0) | (clusters >= 0) | (regions >= 0)).tolist():
            held, rows, region = clusters[i] >= 0, seeds[i] >= 0, regions[i] >= 0
            if rows:
                packed[i] += self.pool.rows_of(seeds[i]).tobytes()
            if held:
                packed[i] += self.clusters.held[clusters[i]].tobytes()
            if region:
                packed[i] += self.extents.held[regions[i]].tobytes()
            packed[i] += bytes([_SEEDS * rows + _CLUSTER * held + _REGION * region])
        return packed

    def unpack(self, slots: Sequence[int], packed: Sequence[bytes]) -> None:
        """Put packed states into slots; ValueError where the length does not fit the shape."""
        size, features = self._fixed.itemsize, self.shape.features
        for slot, state in zip(slots, packed, strict=True):
            held = state[-1] if len(state) > size else 0
            cluster = 8 * self.clusters.width if held & _CLUSTER else 0
            region = 8 * self.extents.width if held & _REGION else 0
            seeds = len(state) - size - bool(held) - cluster - region
            known = held <= _SEEDS + _CLUSTER + _REGION
            if seeds < 0 or seeds % (4 * features) or not known or (seeds and not held & _SEEDS):
                message = f"a slot of {len(state)} bytes does not fit a model of {size}"
                raise ValueError(message)
            self._slots[slot] = np.frombuffer(state, self._fixed, 1)[0]
            self.seen[slot] = not np.isnan(self.means[slot]).any()
            self.seeds[slot] = self.quarantined[slot] = self.regions[slot] = -1
            if held & _SEEDS:
                rows = np.frombuffer(state, np.float32, seeds // 4, size).reshape(-1, features)
                self.seeds[slot] = place = self.pool.take(1)[0]
                self.pool.append(np.full(len(rows), place), rows)
            if held & _CLUSTER:
                self.quarantined[slot] = place = self.clusters.take(1)[0]
                self.clusters.held[place] = np.frombuffer(state, np.float64, self.clusters.width, size + seeds)
            if held & _REGION:
                at, region_at = self.begin_region(slot), size + seeds + cluster  # before `held`: the pool may grow
                self.extents.held[at] = np.frombuffer(state, np.float64, self.extents.width, region_at)

    def unseeded(self, slots: Int64) -> Bool:
        """Tell which of those slots still gather seed rows."""
        unseeded: Bool = self.seeds[slots] >= 0
        return unseeded

    def _grow(self, capacity: int) -> None:
        self._slots = _extended(self._slots, capacity, 0)
        self.seeds = _extended(self.seeds, capacity, -1)
        self.quarantined = _extended(self.quarantined, capacity, -1)
        self.regions = _extended(self.regions, capacity, -1)
        self.modes = _extended(self.modes, capacity, 0)
        self.occupied = _extended(self.occupied, capacity, False)  # noqa: FBT003 - the value to fill with
        self.tenants = _extended(self.tenants, capacity, 0)
        self.seen = _extended(self.seen, capacity, False)  # noqa: FBT003 - likewise


def _extended(array: NDArray[Any], length: int, fill: object) -> NDArray[Any]:
    extended = np.full(length, fill, array.dtype) if fill else np.zeros(length, array.dtype)
    extended[: len(array)] = array
    return extended
