"""Versions: the centroids and the calibration of some slots, as a candidate has them or as the model had them.

A control record carries a version whole, so that to adopt a candidate and to roll back are one thing: at its boundary
the version takes the place of what its slots have. What else a slot has (moments, running state, quarantine) stays.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from detector.errors import StoreDamagedError
from detector.models.bank import Bank
from detector.models.program import SlotStates
from detector.types import Float32, Float64, Int64

_KINDS = {"sketches": "<f8", "first_wins": "<f8", "last_wins": "<f8"}


@dataclass(frozen=True, slots=True)
class Version:
    """Of n slots of C centroids (a member's after the other's), by the names of their entities ("" = the partition).

    centroids   float32 [n, C, D]  in the units of the features
    masses      float32 [n, C]     0 = no centroid
    spreads     float32 [n, C]
    wins        float32 [n, C]     rows won, and event times of the first and the last: they prove a centroid normal
    first_wins  float64 [n, C]
    last_wins   float64 [n, C]
    within      float32 [n, D]     variances about the nearest centroid
    sketches    float64 [n, 2, 3]  of smoothed scores, and of scores
    """

    entities: tuple[str, ...]
    centroids: Float32
    masses: Float32
    spreads: Float32
    wins: Float32
    first_wins: Float64
    last_wins: Float64
    within: Float32
    sketches: Float64

    def __len__(self) -> int:
        return len(self.entities)

    @classmethod
    def of(cls, bank: Bank, slots: Int64, entities: Sequence[str]) -> Self:
        """Copy out what those slots [n] have now."""
        return cls(tuple(entities), *(getattr(bank, name)[slots] for name in _ARRAYS))

    def part(self, chosen: Int64) -> Version:
        """Return the version of some of its slots, by their places in it."""
        arrays = (getattr(self, name)[chosen] for name in _ARRAYS)
        return Version(tuple(self.entities[i] for i in chosen.tolist()), *arrays)

    def put(self, bank: Bank, slots: Int64, chosen: Int64) -> None:
        """Take the place of what `slots` [m] have, with those of its own slots [m]."""
        for name in _ARRAYS:
            getattr(bank, name)[slots] = getattr(self, name)[chosen]

    def overlay(self, states: SlotStates, places: Int64, chosen: Int64) -> None:
        """Put its slots [m] into those `places` [m] of states that are copies."""
        c, d = self.centroids.shape[1:]
        states.centroids[places] = self.centroids[chosen]
        for i, name in enumerate(("masses", "spreads", "wins")):
            states.traits[places, i * c : (i + 1) * c] = getattr(self, name)[chosen]
        states.traits[places, 3 * c + 3 * d : 3 * c + 4 * d] = self.within[chosen]
        states.times[places, 1 : 1 + c] = self.first_wins[chosen]
        states.times[places, 1 + c :] = self.last_wins[chosen]

    def payload(self) -> dict[str, Any]:
        """Return it as JSON values: little-endian arrays in base64, whose shapes follow from the three sizes."""
        arrays = {
            name: b64encode(getattr(self, name).astype(_KINDS.get(name, "<f4")).tobytes()).decode() for name in _ARRAYS
        }
        return {"entities": list(self.entities), "sizes": self.centroids.shape, **arrays}

    @classmethod
    def from_payload(cls, payload: dict[str, Any]) -> Self:
        """Read what `payload` wrote; StoreDamagedError where it is something else."""
        try:
            n, c, d = payload["sizes"]
            shapes = {"centroids": (n, c, d), "within": (n, d), "sketches": (n, 2, 3)}
            arrays: list[NDArray[Any]] = []
            for name in _ARRAYS:
                raw = np.frombuffer(b64decode(payload[name], validate=True), _KINDS.get(name, "<f4"))
                arrays.append(raw.reshape(shapes.get(name, (n, c))).copy())
            return cls(tuple(payload["entities"]), *arrays)
        except (KeyError, TypeError, ValueError) as error:
            message = f"a control record's version of the model cannot be read: {error}"
            raise StoreDamagedError(message) from error


_ARRAYS = [field.name for field in fields(Version) if field.name != "entities"]


def version_for(model_version: int, payload: dict[str, Any]) -> Version | None:
    """Return the version that a control record carries for that version of the model; None where it has none for it.

    Between the making of a record and its boundary another configuration may have begun the model cold.
    """
    if payload.get("made_for") != model_version or payload.get("version") is None:
        return None
    return Version.from_payload(payload["version"])
