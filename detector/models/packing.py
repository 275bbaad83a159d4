"""Slots as bytes: everything that a slot's later scores depend on, so that it can leave for the store and return.

They begin with a fixed part: `awaited` and `last_seen`, where the store finds them without reading a slot, and the
record of `columns.record_of`. Seed rows, quarantine and incident follow while the slot has any; then a byte says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from detector.types import Int64

if TYPE_CHECKING:
    from detector.models.bank import Bank

_SEEDS, _CLUSTER, _INCIDENT = 1, 2, 4


def packed_type(record: np.dtype[Any]) -> np.dtype[Any]:
    """Return how the fixed part of a slot's bytes is laid out."""
    return np.dtype([("awaited", np.float64), ("last_seen", np.float64), ("record", record)])


def pack(bank: Bank, slots: Int64) -> list[bytes]:
    """Return each slot's bytes."""
    fixed = np.empty(len(slots), bank.packed)
    fixed["awaited"], fixed["last_seen"] = bank.awaited[slots], bank.last_seen[slots]
    fixed["record"] = bank.records(slots)
    size, whole = bank.packed.itemsize, fixed.tobytes()
    packed = [whole[i : i + size] for i in range(0, len(whole), size)]
    seeds, clusters, incidents = bank.seeds[slots], bank.quarantined[slots], bank.incident_at[slots]
    for i in np.flatnonzero((seeds >= 0) | (clusters >= 0) | (incidents > 0)).tolist():
        rows, cluster, incident = seeds[i] >= 0, clusters[i] >= 0, incidents[i] > 0
        if rows:
            packed[i] += bank.pool.rows_of(seeds[i]).tobytes()
        if cluster:
            packed[i] += bank.clusters.held[clusters[i]].tobytes()
        if incident:
            packed[i] += bank.incidents.held[incidents[i]].tobytes()
        packed[i] += bytes([_SEEDS * rows + _CLUSTER * cluster + _INCIDENT * incident])
    return packed


def unpack(bank: Bank, slots: Sequence[int], packed: Sequence[bytes]) -> None:
    """Put packed states into slots that hold nothing in any pool; ValueError where a length does not fit the shape."""
    tails = [_tail(bank, state) for state in packed]
    at, size = np.array(slots, np.int64), bank.packed.itemsize
    fixed = np.frombuffer(b"".join(state[:size] for state in packed), bank.packed)
    bank.put(at, fixed)
    for slot, state, (seeds, cluster, incident) in zip(slots, packed, tails, strict=True):
        start = size
        if seeds is not None:
            rows = np.frombuffer(state, np.float32, seeds, start).reshape(-1, bank.shape.features)
            bank.seeds[slot] = place = bank.pool.take(1)[0]
            bank.pool.append(np.full(len(rows), place), rows)
            start += 4 * seeds
        if cluster:
            bank.quarantined[slot] = place = bank.clusters.take(1)[0]
            bank.clusters.held[place] = np.frombuffer(state, np.float64, bank.clusters.width, start)
            start += 8 * bank.clusters.width
        if incident:
            place = bank.begin_incident(slot)
            bank.incidents.held[place] = np.frombuffer(state, bank.incidents.held.dtype, 1, start)[0]


def _tail(bank: Bank, state: bytes) -> tuple[int | None, bool, bool]:
    """Return how many numbers of seed rows follow the fixed part (None = no place), and whether the others do."""
    size, row = bank.packed.itemsize, 4 * bank.shape.features
    held = state[-1] if len(state) > size else 0
    cluster, incident = bool(held & _CLUSTER), bool(held & _INCIDENT)
    others = 8 * bank.clusters.width * cluster + bank.incidents.held.dtype.itemsize * incident
    seeds = len(state) - size - bool(held) - others
    known = held <= _SEEDS + _CLUSTER + _INCIDENT
    if seeds < 0 or seeds % row or not known or (seeds and not held & _SEEDS):
        message = f"a slot of {len(state)} bytes does not fit a model of {size}"
        raise ValueError(message)
    return (seeds // 4 if held & _SEEDS else None), cluster, incident
