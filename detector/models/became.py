"""What the incidents made of each row, for those who ask later."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from detector.models.progress import Transition
from detector.types import Int8, Int64, Phase


class Became(IntEnum):
    """What the incidents made of a row."""

    NOTHING = 0
    BELOW_OPEN_AFTER = 1
    WITHIN_INCIDENT = 2
    OPENED = 3
    UPDATED = 4
    RESOLVED = 5


_BY_PHASE = {Phase.OPEN: Became.OPENED, Phase.UPDATE: Became.UPDATED, Phase.RESOLVE: Became.RESOLVED}


class Made(NamedTuple):
    """For each row [n] a `Became`, and the position (offset, row) of the one that opened its incident [n, 2]."""

    became: Int8
    first: Int64

    @classmethod
    def nothing(cls, rows: int) -> Self:
        """Return what there is to say before anything has happened."""
        return cls(np.zeros(rows, np.int8), np.zeros((rows, 2), np.int64))

    def within(self, rows: Int64, states: NDArray[Any]) -> None:
        """Say that rows [m] came within open incidents, of which these are the states [m]."""
        self.became[rows] = Became.WITHIN_INCIDENT
        self.first[rows, 0], self.first[rows, 1] = states["offset"], states["row"]

    def told(self, row: int, happened: Transition) -> None:
        """Say that something was told by a row."""
        self.became[row], self.first[row] = _BY_PHASE[happened.phase], happened.first
