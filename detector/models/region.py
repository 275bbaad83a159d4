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


def begin(sums: Float64, row: Float32, distance: float) -> None:
    """Let the region whose sums [4 D] these will be begin with the row [D] that opens an incident."""
    sums[:] = 0.0
    sums[: len(row)] = np.nan_to_num(row.astype(np.float64))
    extend(sums[None], np.zeros(1, np.int32), row[None], np.array([distance], np.float32))


def extend(held: Float64, places: Int32, rows: Float32, distance: Float32) -> None:
    """Add rows [n, D] to the sums [P, 4 D] at their places [n], in log order, by their distances [n]."""
    wide, weight = rows.astype(np.float64), distance.astype(np.float64) ** 4
    features = wide.shape[1]
    seen = np.isfinite(wide)
    offset = np.where(seen, wide - held[places, :features], 0.0)
    counted = seen * weight[:, None]
    np.add.at(held[:, features:], places, np.concatenate([counted, counted * offset, counted * offset * offset], 1))
