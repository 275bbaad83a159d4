"""A simulated fleet played to a clock: its days as JSON events that come when they are due, without end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from detector.sources.simulated_faults import FEATURES, Fault
from detector.sources.simulation import STEP, Day, names
from detector.types import Float64


class Event(NamedTuple):
    """One host's sample: the record's key, the host's name; and its value."""

    key: bytes
    value: bytes


class Step(NamedTuple):
    """The samples of all hosts at one time, and the faults that begin with them; times are epoch seconds as played."""

    time: float
    events: list[Event]
    faults: list[Fault]


def play(days: Iterator[Day], *, hosts: int, begin: float, speed: float) -> Iterator[Step]:
    """Yield a fleet's samples with the times at which they are due.

    The first day, on which a fleet is healthy, lies before `begin`, so that it can be learned at once; from `begin` on
    a sample comes each STEP / `speed` seconds. An event is, for host 7 at 2026-11-25 12:00 UTC,

        {"timestamp": 1795608000000, "host": "host-07", "metrics": {"cpu": 31.5, ...}}

    with a metric for each of FEATURES, and epoch milliseconds.
    """
    hosts_ = names(hosts)
    for number, day in enumerate(days):
        first = begin + (number - 1) * len(day.times) * STEP / speed
        shift = float(day.times[0])
        faults = [_played(fault, shift, first, speed) for fault in sorted(day.faults, key=lambda fault: fault.start)]
        for n, values in enumerate(day.values):
            time = first + n * STEP / speed
            later = time + STEP / speed / 2
            begun = [fault for fault in faults if fault.start < later]
            faults = faults[len(begun) :]
            yield Step(time, _events(hosts_, time, values), begun)


def _played(fault: Fault, shift: float, first: float, speed: float) -> Fault:
    return fault._replace(start=first + (fault.start - shift) / speed, end=first + (fault.end - shift) / speed)


def _events(hosts: Sequence[str], time: float, values: Float64) -> list[Event]:
    stamp, events = round(time * 1000), list[Event]()
    for host, row in zip(hosts, values.tolist(), strict=True):
        event = {"timestamp": stamp, "host": host, "metrics": dict(zip(FEATURES, row, strict=True))}
        events.append(Event(host.encode(), msgspec.json.encode(event)))
    return events
