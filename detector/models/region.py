"""Where the rows of an incident lie: their mean and their spread, feature by feature.

Each anomalous row counts by the fourth power of its own distance: where scores are smoothed, rows that are normal again
are still anomalous for a while, and must not draw the region towards what is normal.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from detector.types import Float32, Float64, Int32


class Region(NamedTuple):
    """The mean and the standard deviation of each feature [D], float64; NaN where it was never observed."""

    centre: Float64
    spread: Float64

    @classmethod
    def of(cls, sums: Float64) -> Self:
        """Return the region of the sums at one place of the pool [4 D]."""
        first, weight, total, squares = np.split(sums, 4)
        known = np.where(weight > 0, weight, np.nan)
        offset = total / known
        return cls(first + offset, np.sqrt(np.maximum(squares / known - offset * offset, 0.0)))


def begin(held: Float64, place: int, row: Float32, distance: float) -> None:
    """Let the region at a place begin with the row [D] that opens an incident."""
    held[place, : len(row)] = np.nan_to_num(row.astype(np.float64))
    extend(held, np.array([place], np.int32), row[None], np.array([distance], np.float32))


def extend(held: Float64, places: Int32, rows: Float32, distance: Float32) -> None:
    """Add rows [n, D] to the sums at their places [n], in log order, by their distances [n]; -1 is no place."""
    known = places >= 0
    places, wide, weight = places[known], rows[known].astype(np.float64), distance[known].astype(np.float64) ** 4
    features = wide.shape[1]
    seen = np.isfinite(wide)
    offset = np.where(seen, wide - held[places, :features], 0.0)
    counted = seen * weight[:, None]
    np.add.at(held[:, features:], places, np.concatenate([counted, counted * offset, counted * offset * offset], 1))
