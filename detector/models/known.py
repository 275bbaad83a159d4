"""What operators said of regions: where rows are normal for now, and where they are a fault.

A region is a point and a scale for each feature. Both stand in the control record that says it, so that nothing but the
log and its control records decides: a scale that moves on with the slot would make the rows of one stack of blocks
depend on how the stack was cut.

An approved region is one more centroid that defines normal: a row is as far out as it is from the nearest. In a region
that is a fault rows are scored as ever, but change nothing: neither the model, nor the references, nor quarantine,
learn them; and a quarantine whose centre lies there is never promoted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np

from detector.models.blocks import Block
from detector.models.region import Region
from detector.models.said import FAULT, NORMAL, Said
from detector.models.scale import CLIP
from detector.models.slots import Slots
from detector.types import Bool, Float32, Float64, Int64

_REACH = 3.0
"""Scales (root of the mean square over the features) within which a row lies in a region."""
_OF_THE_WAY = 0.1
"""Share of the way from the slot's mean that a pattern's strength is taken to vary by, however few rows it had."""


class Nearer(NamedTuple):
    """Distances [n] and parts [n, D] of rows, what was expected [n, D], and `by` which region [n] (-1 = none)."""

    distance: Float64
    parts: Float32
    expected: Float32
    by: Int64


class Known:
    """The verdicts in force in one partition, in the order in which they were given."""

    def __init__(self, slots: Slots, features: list[str], said: Iterable[Said] = ()) -> None:
        self._slots = slots
        self._features = features
        self.said: list[Said] = []
        self.ids: list[str] = []
        self._arrange([each for each in said if each.features == features])

    def say(self, payload: dict[str, Any]) -> None:
        """Take up what a control record says: a verdict, or that one is undone."""
        if "undo" in payload:
            self._arrange([each for each in self.said if each.id != payload["undo"]])
            return
        said = msgspec.convert(payload, Said)
        if said.features == self._features:  # else another configuration has come between
            self._arrange([*self.said, said])

    @property
    def ends(self) -> float:
        """Event time at which the next verdict expires; inf where none does."""
        return self._ends

    def expire(self, time: float) -> None:
        """Drop what has expired by then (event time of a block's end)."""
        self._arrange([each for each in self.said if each.until is None or each.until > time])

    @property
    def any_fault(self) -> bool:
        """Whether some region is a fault."""
        return bool(self._faults)

    def approve(
        self, slots: Int64, rows: Float32, distance: Float32, parts: Float32, expected: Float32
    ) -> Nearer | None:
        """Measure rows [n, D] of slots [n] from the approved regions, too; None where none concerns them.

        `distance` [n] is what the model says (NaN = not scored), likewise `parts` and `expected` [n, D].
        """
        found: Nearer | None = None
        for place, at in self._concerned(self._approved, slots):
            at = at[~np.isnan(distance[at])]  # noqa: PLW2901 - those of them that are scored
            measured, squares = self._measure(place, rows[at])
            found = found or Nearer(
                distance.astype(np.float64), parts.copy(), expected.copy(), np.full(len(slots), -1, np.int64)
            )
            near = measured < found.distance[at]
            at = at[near]  # noqa: PLW2901
            found.distance[at], found.parts[at], found.by[at] = measured[near], squares[near], place
            centre = self._centres[place].astype(np.float32)
            found.expected[at] = np.where(np.isnan(centre), found.expected[at], centre)
        return found

    def barred(self, slots: Int64, rows: Float32 | Float64) -> Bool:
        """Tell which rows [n, D] of slots [n] lie in a region that is a fault."""
        barred = np.zeros(len(slots), np.bool_)
        for place, at in self._concerned(self._faults, slots):
            measured, _ = self._measure(place, rows[at])
            barred[at] |= measured <= _REACH * math.sqrt(rows.shape[1])
        return barred

    def barred_of(self, block: Block) -> Bool:
        """Tell it of the rows of a block."""
        return self.barred(block.slots, block.rows)

    def _arrange(self, said: list[Said]) -> None:
        self.said, self.ids = said, [each.id for each in said]
        self._ends = min((each.until for each in said if each.until is not None), default=math.inf)
        self._approved = [i for i, each in enumerate(said) if each.verdict == NORMAL]
        self._faults = [i for i, each in enumerate(said) if each.verdict == FAULT]
        shape = (len(said), len(said[0].centre)) if said else (0, 0)
        self._centres = np.array([each.centre for each in said], np.float64).reshape(shape)
        self._scales = np.array([each.scale for each in said], np.float64).reshape(shape)

    def _concerned(self, places: list[int], slots: Int64) -> Iterator[tuple[int, Int64]]:
        """Yield regions, by their places, with the numbers of the rows of slots [n] that they concern."""
        resident = self._slots.resident
        for place in places:
            entity = self.said[place].entity
            if entity is None:
                yield place, np.flatnonzero(slots >= 0)
            elif (slot := resident.get(entity)) is not None and len(at := np.flatnonzero(slots == slot)):
                yield place, at

    def _measure(self, place: int, rows: Float32 | Float64) -> tuple[Float64, Float32]:
        """Return distances [n] of rows from a region, as the program measures from a centroid, and their parts [n, D].

        inf where fewer than half of the region's features are observed.
        """
        centre, features = self._centres[place], rows.shape[1]
        apart = np.abs(rows.astype(np.float64) - centre) / self._scales[place]
        seen = np.isfinite(apart)
        apart[~seen] = 0.0
        beyond = np.log(np.maximum(apart, CLIP) / CLIP)
        parts = np.minimum(apart, CLIP) ** 2 + beyond * beyond
        observed = seen.sum(1)
        squares = features / np.maximum(observed, 1) * parts.sum(1)
        enough = 2 * observed >= np.isfinite(centre).sum()
        return np.where(enough & (observed > 0), np.sqrt(squares), np.inf), parts.astype(np.float32)


def scale_of(region: Region, own: Float64, mean: Float64) -> Float64:
    """Return the scale [D] that a region's neighbourhood is measured by; `own` and `mean` [D] are its slot's (or NaN).

    The greatest of what the slot's features vary by, what the pattern's rows do, and a tenth of the way from the
    slot's mean: of a pattern that was seen once nobody knows by how much its strength varies.
    """
    floor = 0.01 * np.abs(region.centre) + 1e-9
    widths = np.stack([own, region.spread + floor, _OF_THE_WAY * np.abs(region.centre - mean)])
    scale: Float64 = np.fmax.reduce(widths)
    return scale
