"""What incidents and absences are told of the new rows of a turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.models.incident_state import Place
from detector.models.progress import Anomaly
from detector.types import Bool, Float32, Float64, Int64, Position


class Seen(NamedTuple):
    """New rows of a turn, in log order.

    slots            int64   [n]
    offsets, rows    int64, int32 [n]  their positions
    times            float64 [n]  event times of the rows, and `partition_times` the partition's behind each
    rates            float64 [n]
    judged           bool    [n]  whether the row is scored, and by a model that knows enough
    flagged          bool    [n]  whether it is at or beyond the threshold, and may alert
    grave            bool    [n]  whether it is so far out that its incident is critical
    parts            float32 [n, D]  features' parts of the squared distance
    values           float32 [n, D]  the rows themselves, and `distances` [n] theirs, each by itself
    rate             the threshold; `least_rate` is the least that the reference supports
    describe         tells all about row i
    labels           tells the labels of a row by its position; None where none are configured
    """

    slots: Int64
    offsets: Int64
    rows: NDArray[np.int32]
    times: Float64
    partition_times: Float64
    rates: Float64
    judged: Bool
    flagged: Bool
    grave: Bool
    parts: Float32
    values: Float32
    distances: Float32
    rate: float
    least_rate: float
    describe: Callable[[int], Anomaly]
    labels: Callable[[int, int], dict[str, str]] | None = None

    def place(self, i: int) -> Place:
        """Return where row i stands."""
        position = Position(int(self.offsets[i]), int(self.rows[i]))
        return Place(position, float(self.times[i]), float(self.partition_times[i]))

    @property
    def first(self) -> Place:
        """Where the first row stands, at the partition's event time: by it is told what is not its entity's own."""
        return self.place(0)._replace(time=float(self.partition_times[0]))
