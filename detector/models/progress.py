"""What the model of a partition says of the rows it was given."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from detector.models.region import Region
from detector.types import Float32, Float64, Int64, Phase, Position, Reason, Severity

UNSCORED = 2.0
"""Stands for the rate of a row that is not scored."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A row as the model sees it.

    row        its number in the Rows given
    since      event time since which the scores of its slot are high; None where the row's is not
    threshold  the score from which on rows are anomalous
    block      number of the block whose model scored it, and that model's version
    observed   float64 [D] what the model saw of it: NaN = missing
    expected   float32 [D] coordinates of the centroid that explains it
    parts      float32 [D] features' parts of what the score is made of: their ratio counts
    """

    row: int
    score: float
    at_least: bool
    distance: float
    since: float | None
    threshold: float
    model_version: int
    block: int
    centroid: int
    observed: Float64
    expected: Float32
    parts: Float32


@dataclass(frozen=True, slots=True)
class Transition:
    """An incident opened, was updated, or resolved.

    kind      what the incident is about: `anomaly` or `absence`
    reason    why it was updated or resolved; None where it opened
    entity    whose it is; None where the configuration names no entity field
    position  of the row that tells it: the entity's own; or, where the entity has none at hand (it stopped, or was
              forgotten), the first row of the next block, whosever it is
    time      that row's event time, epoch seconds: its own where it is the entity's, else the partition's
    first     position of the row that opened the incident: its id is made of it
    sequence  number of this message of the incident, from 1
    start     event time of the row that opened it
    duration  event time of the partition since then, seconds
    peak      its highest score so far, `at_least` that where the reference supported no more
    count     anomalous rows so far, from the one that opened it on
    shares    float64 [D]  features' shares of the squared distance, mean of those rows; 0 where not known any more
    anomaly   the row itself where it is the entity's own, else None
    region    where its anomalous rows lie; None where that is not known
    labels    of the row that opened it, as far as any are configured
    absent    of kind `absence`: the entities that are, the first of them where there are many
    """

    kind: str
    phase: Phase
    reason: Reason | None
    entity: str | None
    position: Position
    time: float
    severity: Severity
    first: Position
    sequence: int
    start: float
    duration: float
    peak: float
    peak_at_least: bool
    count: int
    shares: Float64
    anomaly: Anomaly | None
    absent: tuple[str, ...] = ()
    region: Region | None = None
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """What `advance` did with the first `taken` of the rows given.

    distance    float32 [taken]  NaN where the row was not scored: `unscored` counts those by reason
    smoothed    float64 [taken]  the distance as smoothed over the slot's rows, where that is asked for; likewise
    score       float64 [taken]  likewise
    flagged     int64   [a]      numbers of the anomalous rows, in order
    critical    how many of them are so far out that they are critical
    transitions what happened to incidents, in log order
    suppressed  anomalous rows that gave no message, by reason
    top         the row with the highest score, anomalous or not; None where none was scored
    late        rows behind their partition's event time
    overflowed  transformed values beyond float32, which counted as missing
    """

    taken: int
    distance: Float32
    smoothed: Float64
    score: Float64
    flagged: Int64
    critical: int
    transitions: list[Transition]
    suppressed: Counter[str]
    top: Anomaly | None
    unscored: Counter[str]
    late: int
    overflowed: int


class Tally:
    """Gathers the progress of one batch, block by block. A rate above 1 is that of a row not scored.

    observed  float64 [n, D] what the model sees of its n rows; filled in as it sees them
    """

    def __init__(self, observed: Float64) -> None:
        rows, self.observed = len(observed), observed
        self.distance = np.full(rows, np.nan, np.float32)
        self.smoothed = np.full(rows, np.nan)
        self.rates = np.full(rows, UNSCORED)
        self.flagged: list[int] = []
        self.critical = 0
        self.transitions: list[Transition] = []
        self.suppressed: Counter[str] = Counter()
        self._least = math.nextafter(1.0, 2.0)
        self._describe: Callable[[], Anomaly] | None = None
        self.unscored: Counter[str] = Counter()
        self.overflowed = 0

    def rarest(self, rates: Float64, describe: Callable[[int], Anomaly]) -> None:
        """Note the rarest among more rows [n]; `describe` tells all about one of them, and is asked at the end."""
        i = int(rates.argmin())
        if rates[i] < self._least:
            self._least, self._describe = float(rates[i]), partial(describe, i)

    def progress(self, taken: int, late: int) -> Progress:
        """Return the result for the first `taken` rows."""
        flagged = np.array(self.flagged, np.int64)
        rates = self.rates[:taken]
        score = 0.0 - np.log10(rates)
        scored = int(np.count_nonzero(rates <= 1.0))
        if scored < taken:
            score[rates > 1.0] = np.nan
            self.unscored["no_model"] = taken - scored - self.unscored.total()
        unscored = Counter({reason: n for reason, n in self.unscored.items() if n})
        return Progress(
            taken,
            self.distance[:taken],
            self.smoothed[:taken],
            score,
            flagged,
            self.critical,
            self.transitions,
            self.suppressed,
            None if self._describe is None else self._describe(),
            unscored,
            late,
            self.overflowed,
        )
