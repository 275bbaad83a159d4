"""Past incidents like the one at hand, by the features' shares of the distance."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from detector.types import Float32, KnownIncident

_LEAST = 0.7
"""Likeness under which two incidents have little in common: half of the distance in another feature gives 0.71."""


class Alike(NamedTuple):
    """A past incident, without body and shares, and how alike it is: the cosine between the shares, in 0..1."""

    incident: KnownIncident
    likeness: float


class Past:
    """Incidents that are over, the newest `keep` of them."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._columns: dict[str, int] = {}
        self._kept: OrderedDict[str, tuple[int, KnownIncident]] = OrderedDict()
        self._free: list[int] = []
        self._vectors: Float32 = np.zeros((0, 0), np.float32)  # a row an incident, of length 1

    def add(self, incident: KnownIncident) -> None:
        """Keep an incident that is over; one whose shares are not known, or that is kept already, changes nothing."""
        if not any(incident.shares.values()) or incident.id in self._kept:
            return
        if len(self._kept) >= self._keep:
            _, (row, _) = self._kept.popitem(last=False)
            self._free.append(row)
        vector = self._vector(incident.shares)
        row = self._free.pop() if self._free else len(self._kept)
        self._make_room(row + 1)
        self._vectors[row] = 0.0
        self._vectors[row, : len(vector)] = vector
        self._kept[incident.id] = (row, replace(incident, shares={}, body=b""))

    def like(self, shares: Mapping[str, float], topic: str, but: Container[str], count: int) -> list[Alike]:
        """Return the most alike of a topic, but for some ids: the best first, of equals the newest."""
        if not count or not self._kept or not any(shares.values()):
            return []
        vector = self._vector(shares)
        self._make_room(0)
        likeness = self._vectors @ vector
        found = [
            Alike(incident, min(float(likeness[row]), 1.0))
            for row, incident in reversed(self._kept.values())
            if likeness[row] >= _LEAST and incident.partition.topic == topic and incident.id not in but
        ]
        return sorted(found, key=lambda alike: round(-alike.likeness, 3))[:count]

    def _vector(self, shares: Mapping[str, float]) -> Float32:
        """Return shares as a vector of length 1; features not seen before get a column."""
        for name in shares:
            self._columns.setdefault(name, len(self._columns))
        vector = np.zeros(len(self._columns), np.float32)
        for name, share in shares.items():
            vector[self._columns[name]] = share
        return vector / max(float(np.linalg.norm(vector)), 1e-9)

    def _make_room(self, rows: int) -> None:
        have, width = self._vectors.shape
        if rows > have or len(self._columns) > width:
            larger = np.zeros((max(rows, have, min(2 * have, self._keep)), len(self._columns)), np.float32)
            larger[:have, :width] = self._vectors
            self._vectors = larger


def mean_shares(incidents: Sequence[KnownIncident]) -> dict[str, float]:
    """Return the mean of the shares of several incidents."""
    total: dict[str, float] = {}
    for incident in incidents:
        for name, share in incident.shares.items():
            total[name] = total.get(name, 0.0) + share / len(incidents)
    return total
