"""The features of a simulated host, and what befalls them: the labelled faults of a simulated fleet.

After the warm-up, a host has a fault on each day with probability `faults_a_day`; kinds go round with host and
day, so that each is about as frequent. A fault begins at random, an hour into its day or later, and ends within that
day. M is the mean of the host's feature over the warm-up; affected values stay at 0 or above, percentages at 100 or
below.

    spike              1 to 5 min: one of cpu, disk_io, network_in, latency, errors rises by U(2, 7) M
    level_shift        2 to 6 h: one of cpu, memory, disk_io, latency moves by U(.3, 1) M up, or, 3 in 10, by
                       U(.3, .7) M down
    stuck_sensor       3 to 8 h: one of cpu, memory, disk_io, network_in, latency repeats its last value
    slow_leak          6 to 12 h: memory rises evenly by U(15, 35) points, and is back afterwards
    correlation_break  2 to 4 h around the daily peak or trough: one of requests, cpu, network_in, network_out is
                       mirrored in its own range, v -> lo + hi - v, with lo, hi its 1 % and 99 % quantiles over the
                       warm-up: each value is one the host has had, only not together with the others
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.types import Float64

UNITS = {
    "requests": "1/s",
    "cpu": "%",
    "memory": "%",
    "disk_io": "1/s",
    "network_in": "B/s",
    "network_out": "B/s",
    "latency": "ms",
    "errors": "1/s",
}
"""The features in order, with their units."""

FEATURES = tuple(UNITS)
REQUESTS, CPU, MEMORY, DISK, IN, OUT, LATENCY, ERRORS = range(len(FEATURES))
KINDS = ("spike", "level_shift", "stuck_sensor", "slow_leak", "correlation_break")
LIMIT = np.array([np.inf, 100.0, 100.0, np.inf, np.inf, np.inf, np.inf, np.inf])
"""The highest value that a feature may have."""

_DAY = 1440
_SHAPES = {
    "spike": (1, 5, (CPU, DISK, IN, LATENCY, ERRORS)),
    "level_shift": (120, 360, (CPU, MEMORY, DISK, LATENCY)),
    "stuck_sensor": (180, 480, (CPU, MEMORY, DISK, IN, LATENCY)),
    "slow_leak": (360, 720, (MEMORY,)),
    "correlation_break": (120, 240, (REQUESTS, CPU, IN, OUT)),
}
"""Per kind: shortest and longest in minutes, and the features that it may befall."""


class Fault(NamedTuple):
    """A labelled fault. `start` and `end` are the event times of its first and last affected sample, epoch seconds."""

    kind: str
    host: str
    features: tuple[str, ...]
    start: float
    end: float


class Breaking:
    """Breaks one host, number `number`, on the days on which it is asked to; `rng` decides how, and on which."""

    def __init__(self, host: str, number: int, rng: np.random.Generator) -> None:
        self.rng = rng
        self._host = host
        self._number = number

    def fault(self, day: int, times: Float64, values: Float64, healthy: Float64, peak: float) -> Fault:
        """Put a fault into a day's values [1440, D], in place, and return its label.

        times  [1440] of the day; healthy [W, D], the host's warm-up; peak  when its daily peak is, as a share of a day
        """
        kind = KINDS[(self._number + day) % len(KINDS)]
        feature, start, length = self._plan(kind, peak)
        part = slice(start, start + length)
        self._break(values[:, feature], healthy[:, feature], kind, part)
        np.clip(values[part, feature], 0.0, LIMIT[feature], out=values[part, feature])
        return Fault(kind, self._host, (FEATURES[feature],), float(times[start]), float(times[start + length - 1]))

    def _plan(self, kind: str, peak: float) -> tuple[int, int, int]:
        """Draw which feature a fault befalls, and when: `start` and `length` in samples."""
        rng = self.rng
        shortest, longest, candidates = _SHAPES[kind]
        length = int(rng.integers(shortest, longest + 1))
        feature = int(rng.choice(candidates))
        if kind == "correlation_break":
            middle = (peak + rng.choice([0.0, 0.5])) % 1.0 * _DAY + rng.normal(0.0, 60.0)
            start = int(np.clip(middle - length / 2, 60, _DAY - length))
        else:
            start = int(rng.integers(60, _DAY - length + 1))
        return feature, start, length

    def _break(self, series: Float64, healthy: Float64, kind: str, where: slice) -> None:
        """Put a fault into the series [1440] of its feature, in place; the warm-up's [W] says how large."""
        rng, part = self.rng, series[where]
        if kind == "spike":
            part += rng.uniform(2, 7) * healthy.mean()
        elif kind == "level_shift":
            part += healthy.mean() * (rng.uniform(0.3, 1.0) if rng.random() < 0.7 else -rng.uniform(0.3, 0.7))
        elif kind == "stuck_sensor":
            part[:] = series[where.start - 1]
        elif kind == "slow_leak":
            part += np.linspace(0.0, rng.uniform(15, 35), len(part))
        else:
            low, high = np.quantile(healthy, [0.01, 0.99])
            part[:] = np.clip(low + high - part, low, high)
