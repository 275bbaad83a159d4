"""A simulated fleet of hosts with labelled faults: a pure function of a seed, made without any knowledge of the model.

Time. One sample per host every 60 s, from Monday 2026-01-05 00:00 UTC; tau is time in days, t the sample's number.

Randomness. Host h draws from PCG64(SeedSequence(seed, spawn_key=(h, k))): k = 0 what kind of host it is, 1 its noise,
2 its error counts, 3 its faults. So a host is the same however many others there are.

A healthy host. x_f is AR(1) noise with variance 1, x_f[t] = rho_f x_f[t-1] + sqrt(1 - rho_f^2) e; U(a, b) is uniform,
LN(m, s) log-normal with median m. Each host has its own constants:

    daily      s = 1 + a cos 2pi(tau - p) + b cos 4pi(tau - q)    a in U(.3, .6), b in U(0, .15), p in 14 h + N(0, 2 h)
    requests   r = LN(200, .4) s exp(g tau) exp(.08 x)            1/s; drift g in N(0, .02) a day
    load       u = r / the host's LN(200, .4)
    cpu        c = U(3, 8) + U(15, 35) u + 1.5 x                  %, within 0 and 100
    memory     m = U(35, 60) + 4 (s - 1) + d tau + .4 x           %, within 0 and 100; drift d in N(0, .5) a day
    disk_io    (U(10, 40) + U(.2, .6) r) exp(.15 x)               operations/s
    network_in   r LN(2000, .3) exp(.06 x)                        B/s
    network_out  r LN(20000, .4) exp(.08 x)                       B/s
    latency    LN(20, .3) / (1 - .8 c / 100) exp(.06 x)           ms; queueing: it rises steeply with cpu
    errors     Poisson(60 r LN(.001, .5)) / 60                    1/s

Faults. After the warm-up, a host has a fault on each day with probability `faults_a_day`; kinds go round with host and
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

from dataclasses import dataclass
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
KINDS = ("spike", "level_shift", "stuck_sensor", "slow_leak", "correlation_break")
STEP = 60.0
BEGIN = 1_767_571_200.0

_DAY = 1440
_REQUESTS, _CPU, _MEMORY, _DISK, _IN, _OUT, _LATENCY, _ERRORS = range(len(FEATURES))
_RHO = np.array([0.9, 0.8, 0.98, 0.7, 0.6, 0.6, 0.7])
_LIMIT = np.array([np.inf, 100.0, 100.0, np.inf, np.inf, np.inf, np.inf, np.inf])


class Fault(NamedTuple):
    """A labelled fault. `start` and `end` are the event times of its first and last affected sample, epoch seconds."""

    kind: str
    host: str
    features: tuple[str, ...]
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """What `simulate` made.

    name     says which simulation it is: seed and sizes
    hosts    H names
    times    float64 [T], epoch seconds
    values   float64 [T, H, D], features in the order of FEATURES
    faults   in order of their start
    """

    name: str
    hosts: tuple[str, ...]
    times: Float64
    values: Float64
    faults: tuple[Fault, ...]


def simulate(seed: int, *, hosts: int = 50, days: int = 3, warm_up_days: int = 1, faults_a_day: float = 0.4) -> Fleet:
    """Return the fleet of a seed: `hosts` hosts over `days` days, the first `warm_up_days` of them without faults.

    Raises ValueError where there is no warm-up: the size of a fault is measured against it.
    """
    if not 1 <= warm_up_days <= days:
        message = f"warm_up_days: found {warm_up_days}; expected at least 1 and at most days = {days}"
        raise ValueError(message)
    names = tuple(f"host-{h:02d}" for h in range(hosts))
    steps = days * _DAY
    values = np.empty((steps, hosts, len(FEATURES)))
    noise = _noise(seed, steps, hosts)
    faults: list[Fault] = []
    for h, host in enumerate(names):
        values[:, h], peak = _healthy(seed, h, noise[:, h])
        rng = _rng(seed, h, 3)
        for day in range(warm_up_days, days):
            if rng.random() < faults_a_day:
                plan = _plan(KINDS[(h + day) % len(KINDS)], day, peak, rng)
                _break(values[:, h, plan.feature], plan, warm_up_days * _DAY, rng)
                faults.append(plan.label(host))
    name = f"fleet seed={seed} hosts={hosts} days={days} warm_up_days={warm_up_days} faults_a_day={faults_a_day}"
    times = BEGIN + STEP * np.arange(steps, dtype=np.float64)
    return Fleet(name, names, times, values, tuple(sorted(faults, key=lambda fault: fault.start)))


def _rng(seed: int, host: int, purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(host, purpose))))


def _noise(seed: int, steps: int, hosts: int) -> Float64:
    """Return AR(1) noise of variance 1, float64 [T, H, 7]: of every feature but errors, which are counts."""
    noise = np.stack([_rng(seed, h, 1).standard_normal((steps, len(_RHO))) for h in range(hosts)], axis=1)
    fresh = np.sqrt(1.0 - _RHO**2)
    for t in range(1, steps):
        noise[t] = _RHO * noise[t - 1] + fresh * noise[t]
    return noise


def _healthy(seed: int, host: int, x: Float64) -> tuple[Float64, float]:
    """Return a host without faults, float64 [T, D], and when its daily peak is (share of a day)."""
    rng = _rng(seed, host, 0)

    def log_normal(median: float, spread: float) -> float:
        return median * float(np.exp(rng.normal(0.0, spread)))

    tau = np.arange(len(x)) / _DAY
    peak = (14.0 + rng.normal(0.0, 2.0)) / 24.0
    daily = 1.0 + rng.uniform(0.3, 0.6) * np.cos(2 * np.pi * (tau - peak))
    daily += rng.uniform(0.0, 0.15) * np.cos(4 * np.pi * (tau - rng.uniform()))
    size = log_normal(200.0, 0.4)
    requests = size * daily * np.exp(rng.normal(0.0, 0.02) * tau + 0.08 * x[:, _REQUESTS])

    values = np.empty((len(x), len(FEATURES)))
    values[:, _REQUESTS] = requests
    values[:, _CPU] = rng.uniform(3, 8) + rng.uniform(15, 35) * requests / size + 1.5 * x[:, _CPU]
    values[:, _MEMORY] = rng.uniform(35, 60) + 4 * (daily - 1) + rng.normal(0.0, 0.5) * tau + 0.4 * x[:, _MEMORY]
    values[:, _DISK] = (rng.uniform(10, 40) + rng.uniform(0.2, 0.6) * requests) * np.exp(0.15 * x[:, _DISK])
    values[:, _IN] = requests * log_normal(2000.0, 0.3) * np.exp(0.06 * x[:, _IN])
    values[:, _OUT] = requests * log_normal(20_000.0, 0.4) * np.exp(0.08 * x[:, _OUT])
    np.clip(values[:, : _MEMORY + 1], 0.0, _LIMIT[: _MEMORY + 1], out=values[:, : _MEMORY + 1])
    queueing = 1.0 / (1.0 - 0.8 * values[:, _CPU] / 100.0)
    values[:, _LATENCY] = log_normal(20.0, 0.3) * queueing * np.exp(0.06 * x[:, _LATENCY])
    values[:, _ERRORS] = _rng(seed, host, 2).poisson(STEP * requests * log_normal(0.001, 0.5)) / STEP
    return values, peak


_SHAPES = {
    "spike": (1, 5, (_CPU, _DISK, _IN, _LATENCY, _ERRORS)),
    "level_shift": (120, 360, (_CPU, _MEMORY, _DISK, _LATENCY)),
    "stuck_sensor": (180, 480, (_CPU, _MEMORY, _DISK, _IN, _LATENCY)),
    "slow_leak": (360, 720, (_MEMORY,)),
    "correlation_break": (120, 240, (_REQUESTS, _CPU, _IN, _OUT)),
}
"""Per kind: shortest and longest in minutes, and the features that it may befall."""


class _Plan(NamedTuple):
    kind: str
    feature: int
    start: int
    length: int

    def label(self, host: str) -> Fault:
        start = BEGIN + STEP * self.start
        return Fault(self.kind, host, (FEATURES[self.feature],), start, start + STEP * (self.length - 1))


def _plan(kind: str, day: int, peak: float, rng: np.random.Generator) -> _Plan:
    """Draw which feature a fault befalls, and when: `start` and `length` in samples."""
    shortest, longest, candidates = _SHAPES[kind]
    length = int(rng.integers(shortest, longest + 1))
    feature = int(rng.choice(candidates))
    if kind == "correlation_break":
        middle = (peak + rng.choice([0.0, 0.5])) % 1.0 * _DAY + rng.normal(0.0, 60.0)
        start = int(np.clip(middle - length / 2, 60, _DAY - length))
    else:
        start = int(rng.integers(60, _DAY - length + 1))
    return _Plan(kind, feature, day * _DAY + start, length)


def _break(series: Float64, plan: _Plan, warm_up: int, rng: np.random.Generator) -> None:
    """Put a fault into the series [T] of its host and feature, in place."""
    healthy = series[:warm_up]
    part = series[plan.start : plan.start + plan.length]
    if plan.kind == "spike":
        part += rng.uniform(2, 7) * healthy.mean()
    elif plan.kind == "level_shift":
        part += healthy.mean() * (rng.uniform(0.3, 1.0) if rng.random() < 0.7 else -rng.uniform(0.3, 0.7))
    elif plan.kind == "stuck_sensor":
        part[:] = series[plan.start - 1]
    elif plan.kind == "slow_leak":
        part += np.linspace(0.0, rng.uniform(15, 35), plan.length)
    else:
        low, high = np.quantile(healthy, [0.01, 0.99])
        part[:] = np.clip(low + high - part, low, high)
    np.clip(part, 0.0, _LIMIT[plan.feature], out=part)
