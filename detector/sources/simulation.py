"""A simulated fleet of hosts with labelled faults: a pure function of a seed, made without any knowledge of the model.

Made day by day, for as long as is asked for: `days_of` has no end, `simulate` is its first days in one piece.

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

Faults are told of in `simulated_faults`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import NamedTuple

import numpy as np

from detector.sources import simulated_faults
from detector.sources.simulated_faults import CPU, DISK, ERRORS, FEATURES, IN, LATENCY, MEMORY, OUT, REQUESTS, Fault
from detector.types import Float64

STEP = 60.0
BEGIN = 1_767_571_200.0

_DAY = 1440
_RHO = np.array([0.9, 0.8, 0.98, 0.7, 0.6, 0.6, 0.7])


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


class Day(NamedTuple):
    """One day of a fleet: times float64 [1440], values float64 [1440, H, D], faults by host."""

    times: Float64
    values: Float64
    faults: list[Fault]


def simulate(seed: int, *, hosts: int = 50, days: int = 3, warm_up_days: int = 1, faults_a_day: float = 0.4) -> Fleet:
    """Return the fleet of a seed: `hosts` hosts over `days` days, the first `warm_up_days` of them without faults.

    Raises ValueError where there is no warm-up: the size of a fault is measured against it.
    """
    if not 1 <= warm_up_days <= days:
        message = f"warm_up_days: found {warm_up_days}; expected at least 1 and at most days = {days}"
        raise ValueError(message)
    made = list(islice(days_of(seed, hosts=hosts, warm_up_days=warm_up_days, faults_a_day=faults_a_day), days))
    return Fleet(
        f"fleet seed={seed} hosts={hosts} days={days} warm_up_days={warm_up_days} faults_a_day={faults_a_day}",
        names(hosts),
        np.concatenate([day.times for day in made]),
        np.concatenate([day.values for day in made]),
        tuple(sorted((fault for day in made for fault in day.faults), key=lambda fault: fault.start)),
    )


def names(hosts: int) -> tuple[str, ...]:
    """Return the names of so many hosts."""
    return tuple(f"host-{h:02d}" for h in range(hosts))


def days_of(seed: int, *, hosts: int = 50, warm_up_days: int = 1, faults_a_day: float = 0.4) -> Iterator[Day]:
    """Yield the days of a fleet, one after the other, without end; the first `warm_up_days` (1 or more) are healthy."""
    fleet = [_Host(seed, number) for number in range(hosts)]
    noise = _Noise(seed, hosts)
    breaking = [simulated_faults.Breaking(name, h, _rng(seed, h, 3)) for h, name in enumerate(names(hosts))]
    healthy = np.empty((0, hosts, len(FEATURES)))
    for number in count():
        times = BEGIN + STEP * np.arange(number * _DAY, (number + 1) * _DAY, dtype=np.float64)
        x = noise.day()
        values = np.stack([host.day(number, x[:, h]) for h, host in enumerate(fleet)], axis=1)
        faults: list[Fault] = []
        if number < warm_up_days:
            healthy = np.concatenate([healthy, values])
        else:
            for h, one in enumerate(breaking):
                if one.rng.random() < faults_a_day:
                    faults.append(one.fault(number, times, values[:, h], healthy[:, h], fleet[h].peak))
        yield Day(times, values, faults)


def _rng(seed: int, host: int, purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(host, purpose))))


class _Noise:
    """AR(1) noise of variance 1 of all hosts, of every feature but errors, which are counts."""

    def __init__(self, seed: int, hosts: int) -> None:
        self._rngs = [_rng(seed, h, 1) for h in range(hosts)]
        self._last: Float64 | None = None

    def day(self) -> Float64:
        """Return the next day's, float64 [1440, H, 7]."""
        noise = np.stack([rng.standard_normal((_DAY, len(_RHO))) for rng in self._rngs], axis=1)
        fresh = np.sqrt(1.0 - _RHO**2)
        last = self._last
        for t in range(_DAY):
            if last is not None:
                noise[t] = _RHO * last + fresh * noise[t]
            last = noise[t]
        self._last = last
        return noise


class _Host:
    """A host without faults. `peak` is when its daily peak is, as a share of a day."""

    def __init__(self, seed: int, number: int) -> None:
        rng = _rng(seed, number, 0)

        def log_normal(median: float, spread: float) -> float:
            return median * float(np.exp(rng.normal(0.0, spread)))

        # The order of the draws is part of what a seed means.
        self.peak = (14.0 + rng.normal(0.0, 2.0)) / 24.0
        self._waves = rng.uniform(0.3, 0.6), rng.uniform(0.0, 0.15), rng.uniform()
        self._size = log_normal(200.0, 0.4)
        self._growth = rng.normal(0.0, 0.02)
        self._cpu = rng.uniform(3, 8), rng.uniform(15, 35)
        self._memory = rng.uniform(35, 60), rng.normal(0.0, 0.5)
        self._disk = rng.uniform(10, 40), rng.uniform(0.2, 0.6)
        self._received = log_normal(2000.0, 0.3)
        self._sent = log_normal(20_000.0, 0.4)
        self._latency = log_normal(20.0, 0.3)
        self._failing = log_normal(0.001, 0.5)
        self._errors = _rng(seed, number, 2)

    def day(self, number: int, x: Float64) -> Float64:
        """Return the next day, float64 [1440, D], of noise [1440, 7]; days are asked for in order."""
        tau = np.arange(number * _DAY, (number + 1) * _DAY) / _DAY
        first, second, shift = self._waves
        daily = 1.0 + first * np.cos(2 * np.pi * (tau - self.peak))
        daily += second * np.cos(4 * np.pi * (tau - shift))
        requests = self._size * daily * np.exp(self._growth * tau + 0.08 * x[:, REQUESTS])

        values = np.empty((_DAY, len(FEATURES)))
        values[:, REQUESTS] = requests
        values[:, CPU] = self._cpu[0] + self._cpu[1] * requests / self._size + 1.5 * x[:, CPU]
        values[:, MEMORY] = self._memory[0] + 4 * (daily - 1) + self._memory[1] * tau + 0.4 * x[:, MEMORY]
        values[:, DISK] = (self._disk[0] + self._disk[1] * requests) * np.exp(0.15 * x[:, DISK])
        values[:, IN] = requests * self._received * np.exp(0.06 * x[:, IN])
        values[:, OUT] = requests * self._sent * np.exp(0.08 * x[:, OUT])
        shares = values[:, : MEMORY + 1]
        np.clip(shares, 0.0, simulated_faults.LIMIT[: MEMORY + 1], out=shares)
        queueing = 1.0 / (1.0 - 0.8 * values[:, CPU] / 100.0)
        values[:, LATENCY] = self._latency * queueing * np.exp(0.06 * x[:, LATENCY])
        values[:, ERRORS] = self._errors.poisson(STEP * requests * self._failing) / STEP
        return values
