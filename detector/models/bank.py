"""The bank: the states of a partition's slots in plain NumPy arrays, indexed by slot number.

A slot's bytes (`pack`) hold everything that its later scores depend on, so that a slot can leave for the store and
return without changing a bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detector.models import packing
from detector.models.columns import Columns, beginning, record_of
from detector.models.growing import extended, room
from detector.models.lending import blank
from detector.models.pools import ClusterPool, IncidentPool, SeedPool
from detector.models.program import SlotStates
from detector.models.shape import Frame, Shape
from detector.types import Bool, Float32, Float64, Int8, Int32, Int64

_FIRST_CAPACITY = 16
_FILLS: dict[str, object] = {
    "_slots": 0,
    "awaited": np.inf,
    "last_seen": np.inf,
    "seeds": -1,
    "quarantined": -1,
    "incident_at": 0,
    "modes": 0,
    "occupied": False,
    "tenants": 0,
    "seen": False,
}
"""The arrays that grow with the number of slots, and what their new entries hold."""


class Bank(Columns):
    """S slots of one shape; grows in steps.

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
    pause           float64 [S]             its longest pause of late (see `awaiting`); -inf = none
    interval        float64 [S]             usual interval between its rows, seconds (see `pace`); NaN = unknown
    beat            float64 [S]             its last row's partition event time, of complete blocks; NaN = none yet
    since           float64 [S]             event time since which the slot's scores are high; NaN = they are not
    echoing         int64   [S]             rows for which its smoothed scores go on to remember a stray
    faulty_share    float64 [S]             share of the time in which it was faulty, of late (see `habit`)
    relations       records [S]             what is known of its features' relations, where that is kept at all:
                                            `relations_state.state_of` names its fields
    rows_learned    int64   [S]
    kept_up         int64   [S]             number of the block before which the slot was last kept up

    Apart from those records, for all slots are looked at now and then, or since few have any:

    last_seen       float64 [S]             the partition's event time at its last row; inf = none yet, or no slot
    awaited         float64 [S]             event time from which on it is absent; inf = never, or no slot
    seeds           int32   [S]             place of the slot's seed rows in the seed pool, -1 = none any more
    quarantined     int32   [S]             place of its quarantine in the cluster pool, -1 = it has none
    incident_at     int32   [S]             place of its incident in the incident pool, 0 = it has none
    modes           int8    [S]             its learning mode, which its entity's name decides
    occupied        bool    [S]             whether the slot is anybody's
    tenants         int64   [S]             counts whose slot it has been, over all slots: the same = the same entity's
    seen            bool    [S]             whether each of its features was seen, so that all have a mean
    """

    awaited: Float64
    last_seen: Float64
    seeds: Int32
    quarantined: Int32
    incident_at: Int32
    modes: Int8
    occupied: Bool
    tenants: Int64
    seen: Bool

    def __init__(
        self, shape: Shape, seed_rows: int, *, smoothing: int = 0, history: int = 0, relations: bool = False
    ) -> None:
        self.shape = shape
        self.seed_rows = seed_rows
        self.views = 2 if relations else 1
        smoothed = smoothing * self.views * (1 + shape.features)
        record = record_of(shape, smoothed=smoothed, history=history, relations=relations)
        self.packed = packing.packed_type(record)
        self._beginning = beginning(record, shape)
        self._slots = np.zeros(0, record)
        self.last_seen, self.awaited = np.zeros(0), np.zeros(0)
        self.seeds, self.quarantined, self.incident_at = (np.zeros(0, np.int32) for _ in range(3))
        self.modes, self.tenants = np.zeros(0, np.int8), np.zeros(0, np.int64)
        self.occupied, self.seen = np.zeros(0, np.bool_), np.zeros(0, np.bool_)
        self.pool = SeedPool(seed_rows, shape.features)
        self.clusters = ClusterPool(shape.features)
        self.incidents = IncidentPool(shape.features)
        self._grow(_FIRST_CAPACITY)

    @property
    def capacity(self) -> int:
        """Slots that fit without growing."""
        return len(self._slots)

    @property
    def bytes_per_slot(self) -> int:
        """Bytes of a seeded slot, in memory and on disk alike."""
        return self.packed.itemsize

    def reserve(self, slot: int) -> None:
        """Make room for slot number `slot`."""
        if slot >= self.capacity:
            self._grow(room(slot + 1, self.capacity, self._slots.itemsize))

    def clear(self, slots: Int64 | Int32) -> None:
        """Make those slots new ones."""
        self.vacate(slots)
        self._slots[slots] = self._beginning
        self.seen[slots] = False
        self.seeds[slots] = self.pool.take(len(slots))

    def release(self, slots: Int64 | Int32) -> None:
        """Free what those slots hold in the seed pool."""
        self.pool.release(self.seeds[slots])
        self.seeds[slots] = -1

    def vacate(self, slots: Int64 | Int32) -> None:
        """Free what those slots hold in any pool; nobody waits for them any more."""
        self.last_seen[slots] = self.awaited[slots] = np.inf
        self.release(slots)
        self.end_quarantine(slots)
        self.end_incidents(slots)

    def quarantine(self, slots: Int64) -> Int32:
        """Return the places of those slots' quarantines (each slot once), begun where there are none."""
        new = slots[self.quarantined[slots] < 0]
        self.quarantined[new] = self.clusters.take(len(new))
        return self.quarantined[slots]

    def end_quarantine(self, slots: Int64 | Int32) -> None:
        """Forget what those slots have in quarantine."""
        self.clusters.release(self.quarantined[slots])
        self.quarantined[slots] = -1

    def begin_incident(self, slot: int) -> int:
        """Return the place of a slot's incident, begun where there is none."""
        if not self.incident_at[slot]:
            self.incident_at[slot] = self.incidents.take(1)[0]
        return int(self.incident_at[slot])

    def end_incidents(self, slots: Int64 | Int32) -> None:
        """Forget what those slots keep of incidents."""
        self.incidents.release(self.incident_at[slots])
        self.incident_at[slots] = 0

    def incidents_of(self, slots: Int64) -> NDArray[np.void]:
        """Return copies of what some slots keep of their incidents [n]; all zero = nothing."""
        return self.incidents.held[self.incident_at[slots]]

    def gather(self, slots: Int64, frame: Frame) -> SlotStates:
        """Copy out the states of some slots, padded to what the program takes in a frame."""
        n, padded = len(slots), self.shape.slots_of(frame) + 1
        centroids, traits, times = blank(
            ((padded, self.shape.all_centroids, self.shape.features), np.float32),
            ((padded, self.shape.traits), np.float32),
            ((padded, self.shape.times), np.float64),
        )
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
        seen = self.seen[slots]
        if seen.all():
            return
        slots, rows = slots[~seen], rows[~seen]
        row, feature = np.nonzero(np.isnan(self.means[slots]) & np.isfinite(rows))
        row, feature = row[::-1], feature[::-1]  # of several values for one place, the last assigned stays: the first
        self.means[slots[row], feature] = rows[row, feature]
        self.centroids[slots[row], :, feature] = rows[row, feature][:, None]
        self.seen[slots] = ~np.isnan(self.means[slots]).any(1)

    def records(self, slots: Int64) -> NDArray[np.void]:
        """Return copies of the records of some slots [n]."""
        return self._slots[slots]

    def put(self, slots: Int64, packed: NDArray[np.void]) -> None:
        """Put fixed parts [n] as `packing` lays them out into slots that hold nothing in any pool."""
        self.awaited[slots], self.last_seen[slots] = packed["awaited"], packed["last_seen"]
        self._slots[slots] = packed["record"]
        self.seen[slots] = ~np.isnan(self.means[slots]).any(1)
        self.seeds[slots], self.quarantined[slots], self.incident_at[slots] = -1, -1, 0

    def pack(self, slots: Int64) -> list[bytes]:
        """Return each slot's bytes (see `packing`)."""
        return packing.pack(self, slots)

    def unpack(self, slots: Sequence[int], packed: Sequence[bytes]) -> None:
        """Put packed states into slots; ValueError where a length does not fit the shape."""
        packing.unpack(self, slots, packed)

    def unseeded(self, slots: Int64) -> Bool:
        """Tell which of those slots still gather seed rows."""
        unseeded: Bool = self.seeds[slots] >= 0
        return unseeded

    def _grow(self, capacity: int) -> None:
        for name, fill in _FILLS.items():
            # Taken out of its name, as memory that nobody else holds can grow where it is.
            setattr(self, name, extended(vars(self).pop(name), capacity, fill))
