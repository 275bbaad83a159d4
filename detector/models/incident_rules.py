"""The rules that incidents open, are updated and resolve by."""

from __future__ import annotations

import math
from statistics import geometric_mean
from typing import NamedTuple

from detector.config.detection import Detection

_ALONE = 1.0
"""Anomalous rows of an incident that may be one event by chance ..."""
_CLUSTER = 2.0
"""... times the half-life where scores are smoothed: one such event lifts so many of them."""


class Rules(NamedTuple):
    """Opens at n of the last m rows; rates as multiples of the threshold's; times in seconds of event time.

    An incident of more than `fault_count` rows beyond the first may be no chance, for `fault_time`: see `follow`.
    """

    n: int
    m: int
    lower: float
    critical: float
    repeat_interval: float
    quiet_rows: float
    quiet_time: float
    silence: float
    fault_count: float
    fault_time: float

    @classmethod
    def of(cls, detection: Detection) -> Rules:
        """Take them from a configuration."""
        incidents, smoothing = detection.incidents, detection.model.smoothing
        return cls(
            incidents.open_after.rows,
            incidents.open_after.of,
            10.0**incidents.resolve_below,
            10.0**-detection.alerting.critical_decades,
            incidents.repeat_interval,
            incidents.resolve_after.rows or math.inf,
            incidents.resolve_after.time or math.inf,
            incidents.no_data_after or math.inf,
            _CLUSTER * geometric_mean(smoothing) if smoothing else _ALONE,
            detection.model.promote_after,
        )
