"""What the model of a partition says of the rows it was given."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from detector.types import Float32, Float64, Int64

UNSCORED = 2.0
"""Stands for the rate of a row that is not scored."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A row whose score reached the threshold, outside the cool-down of its slot.

    row        its number in the Rows given
    since      event time since which the scores of its slot are high; NaN where the row's is not
    threshold  the score from which on rows are anomalous
    block      number of the block whose model scored it, and that model's version
    expected   float32 [D] coordinates of the nearest centroid
    parts      float32 [D] features' parts of the squared distance, before it is rescaled for missing ones
    """

    row: int
    score: float
    at_least: bool
    distance: float
    since: float
    threshold: float
    model_version: int
    block: int
    centroid: int
    expected: Float32
    parts: Float32


@dataclass(frozen=True, slots=True)
class Progress:
    """What `advance` did with the first `taken` of the rows given.

    distance   float32 [taken]  NaN where the row was not scored: `unscored` counts those by reason
    smoothed   float64 [taken]  the distance as smoothed over the slot's rows, where that is asked for; likewise
    score      float64 [taken]  likewise
    flagged    int64   [a]      numbers of the anomalous rows, in order
    anomalies  those of them outside a cool-down
    top        the row with the highest score, anomalous or not; None where none was scored
    late       rows behind their partition's event time
    """

    taken: int
    distance: Float32
    smoothed: Float64
    score: Float64
    flagged: Int64
    anomalies: list[Anomaly]
    top: Anomaly | None
    unscored: Counter[str]
    late: int


class Tally:
    """Gathers the progress of one batch of n rows, block by block. A rate above 1 is that of a row not scored."""

    def __init__(self, rows: int) -> None:
        self.distance = np.full(rows, np.nan, np.float32)
        self.smoothed = np.full(rows, np.nan)
        self.rates = np.full(rows, UNSCORED)
        self.flagged: list[int] = []
        self.anomalies: list[Anomaly] = []
        self.top: Anomaly | None = None
        self.unscored: Counter[str] = Counter()

    def progress(self, taken: int, late: int) -> Progress:
        """Return the result for the first `taken` rows."""
        flagged = np.array(self.flagged, np.int64)
        rates = self.rates[:taken]
        score = np.where(rates <= 1.0, 0.0 - np.log10(rates), np.nan)
        self.unscored["no_model"] = int((rates > 1.0).sum()) - self.unscored.total()
        unscored = Counter({reason: n for reason, n in self.unscored.items() if n})
        return Progress(
            taken,
            self.distance[:taken],
            self.smoothed[:taken],
            score,
            flagged,
            self.anomalies,
            self.top,
            unscored,
            late,
        )
