"""The rules that incidents open, are updated and resolve by."""

from __future__ import annotations

import math
from statistics import geometric_mean
from typing import NamedTuple

import numpy as np

from detector.config.detection import Detection
from detector.config.incidents import CALM_ROWS, CALM_TIME, NO_DATA_TIME
from detector.models import pace
from detector.types import Bool, Float64, Int64

_CHANCE = 3.0
"""Rows that do not break the calm, as a multiple of what chance gives. What is asked for is kept within a factor of 2;
and with a threshold half a decade lower, a fault that is no chance (`_DENSE` of `incidents`) is as dense as that."""
_ALONE = 1.0
"""Anomalous rows of an incident that may be one event by chance ..."""
_CLUSTER = 2.0
"""... times the half-life where scores are smoothed: one such event lifts so many of them."""


class Rules(NamedTuple):
    """Opens at n of the last m rows; rates as multiples of the threshold's; times in seconds of event time.

    It resolves after `quiet_rows` of calm; or after `quiet_time` and no less than `least_rows`. `chance` times as many
    rows as chance alone puts beyond the lower threshold do not break the calm (0 = any does).
    It ends after `silence` without a row of its slot; if `paced`, after a long pause by the slot's pace where that is
    longer.
    An incident with a burst of more than `fault_count` rows beyond the first may be no chance: see `follow`. If
    `parted`, a calm row ends a burst that is none.
    """

    n: int
    m: int
    lower: float
    critical: float
    repeat_interval: float
    quiet_rows: float
    quiet_time: float
    least_rows: float
    chance: float
    silence: float
    paced: bool
    fault_count: float
    parted: bool

    @classmethod
    def of(cls, detection: Detection) -> Rules:
        """Take them from a configuration."""
        incidents, smoothing = detection.incidents, detection.model.smoothing
        resolve, no_data = incidents.resolve_after, incidents.no_data_after
        return cls(
            incidents.open_after.rows,
            incidents.open_after.of,
            10.0**incidents.resolve_below,
            10.0**-detection.alerting.critical_decades,
            incidents.repeat_interval,
            math.inf if resolve == "auto" else resolve.rows or math.inf,
            CALM_TIME if resolve == "auto" else resolve.time or math.inf,
            CALM_ROWS if resolve == "auto" else 1,
            _CHANCE if resolve == "auto" else 0.0,
            NO_DATA_TIME if no_data == "auto" else no_data or math.inf,
            no_data == "auto",
            _CLUSTER * geometric_mean(smoothing) if smoothing else _ALONE,
            bool(smoothing),
        )

    @property
    def fault_rows(self) -> int:
        """Anomalous rows of a burst by which it is a fault."""
        return math.floor(self.fault_count) + 2

    def is_calm(self, rows: Int64, time: Float64) -> Bool:
        """Tell which incidents [n] have been calm for long enough, by rows [n] and event time [n] of calm."""
        enough: Bool = (rows >= self.quiet_rows) | ((rows >= self.least_rows) & (time >= self.quiet_time))
        return enough

    def silence_of(self, interval: Float64) -> Float64:
        """Return for how long slots of those usual intervals [n] (NaN = unknown) may be silent."""
        return pace.longer(self.silence, interval) if self.paced else np.full_like(interval, self.silence)
