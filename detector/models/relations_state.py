"""What a slot keeps of the relations of its features, and what they say of rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.models import pending, spells
from detector.models.calibration import prior
from detector.models.view import View
from detector.types import Bool, Float32, Float64


def state_of(features: int) -> np.dtype[Any]:
    """Return what a slot keeps of its relations; and `begun` begins it.

    rows      learned in all                     weight    what they count for, faded
    since     event time when it first learned   time      and when it last did
    mean      float64 [D], NaN = never seen
    moments   float64 [D (D + 1) / 2] covariances, and `inverse`, float32, of their correlations: the upper triangle
    center    float64 [D] mean and `scale` standard deviation as of that inverse; a scale of 0: there is none yet
    repeats   float32 [2, D] how many rows repeated a feature's value, and how many of those began to
    last      float32 [D] value of the slot's last row, and `run` how often it had been repeated
    longest   float32 [D] how often a value was repeated at most, faded
    sketch    of the smoothed distances, and `pending`: see `pending`
    spell     of `spells`
    unusual   rows that were out of the ordinary; event times of the first and of the last of them, `unusual_since`
              and `unusual_until`
    """
    pairs = features * (features + 1) // 2
    d = (features,)
    return np.dtype(
        [
            ("rows", np.int64),
            ("weight", np.float64),
            ("since", np.float64),
            ("time", np.float64),
            ("mean", np.float64, d),
            ("moments", np.float64, (pairs,)),
            ("inverse", np.float32, (pairs,)),
            ("center", np.float64, d),
            ("scale", np.float64, d),
            ("repeats", np.float32, (2, *d)),
            ("longest", np.float32, d),
            ("last", np.float32, d),
            ("run", np.float32, d),
            *pending.state_of(),
            ("spell", spells.state_of()),
            ("unusual", np.int64),
            ("unusual_since", np.float64),
            ("unusual_until", np.float64),
        ]
    )


def begun(features: int) -> NDArray[np.void]:
    """Return what a slot begins with [1]."""
    state = np.zeros(1, state_of(features))
    state["mean"] = state["last"] = np.nan
    state["sketch"] = state["pending"] = prior(features)
    return state


class Related(NamedTuple):
    """What relations say of rows.

    distance  float64 [n]     NaN while too little is known
    parts     float32 [n, D]  features' parts of its square
    expected  float32 [n, D]  what the other features foretold
    runs      float32 [n, D]  how many times in a row each value had been repeated
    """

    distance: Float64
    parts: Float32
    expected: Float32
    runs: Float32

    def view(self, first: int, usable: Bool) -> View:
        """Return how it sees the rows from number `first` on, of which only the usable [n] are scored."""
        return View(np.where(usable, self.distance[first:], np.nan), self.parts[first:], self.expected[first:])
