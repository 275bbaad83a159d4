"""How well the incidents of `detector demo --fleet` fit the faults that were put in, and the table that says so.

An incident that opens within a fault of its host, in [start, end + grace] of event time, is right; one that opens
within none is a false alarm. A fault is found when a right incident of its host was open within it: the delay is that
of the first such incident, measured from the fault's start; none where it was open already, because of a fault before.
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.table import Table

from detector.cli.demo_snapshot import Finding
from detector.sources.simulated_faults import Fault

GRACE = 600.0
"""Seconds of event time after a fault during which an incident still belongs to it: values return, and are smoothed."""


class Count(NamedTuple):
    """How many faults there were and how many were found; the median delay in seconds, None where none was found."""

    injected: int
    found: int
    median_delay_s: float | None

    @property
    def missed(self) -> int:
        """How many were not found."""
        return self.injected - self.found


@dataclass(frozen=True, slots=True)
class Grade:
    """The judgement over all faults, and by kind of fault, in the order in which the kinds first occur."""

    total: Count
    kinds: dict[str, Count]
    false_alarms: int


class Incident(NamedTuple):
    """Whose it is, and the event times when it opened and when it was told to be over: infinity where it was not."""

    entity: str | None
    start: float
    end: float = math.inf


def incidents_of(received: Iterable[Finding]) -> list[Incident]:
    """Put together what was received of incidents, in any order."""
    incidents: dict[str, Incident] = {}
    for message in received:
        known = incidents.get(message.incident, Incident(message.entity, message.start))
        ended = message.time if message.phase == "resolve" else known.end
        incidents[message.incident] = known._replace(end=ended)
    return list(incidents.values())


def grade(faults: Sequence[Fault], incidents: Iterable[Incident], *, grace: float = GRACE) -> Grade:
    """Judge incidents, in any order, by the faults."""
    first: dict[Fault, float] = {}
    false_alarms = 0
    for host, start, end in incidents:
        own = [fault for fault in faults if fault.host == host]
        if not any(fault.start <= start <= fault.end + grace for fault in own):
            false_alarms += 1
            continue
        for fault in own:
            if start <= fault.end + grace and end >= fault.start:
                since = max(start, fault.start)
                first[fault] = min(since, first.get(fault, since))

    def count(some: Sequence[Fault]) -> Count:
        delays = [first[fault] - fault.start for fault in some if fault in first]
        return Count(len(some), len(delays), float(statistics.median(delays)) if delays else None)

    kinds = dict.fromkeys(fault.kind for fault in faults)
    return Grade(count(faults), {kind: count([f for f in faults if f.kind == kind]) for kind in kinds}, false_alarms)


@dataclass(frozen=True, slots=True)
class Report:
    """A grade, and how fast it came about: `events` in `seconds` of wall clock."""

    grade: Grade
    events: int
    seconds: float

    @property
    def events_per_second(self) -> float:
        """Events read, scored and learned per second of wall clock."""
        return self.events / self.seconds if self.seconds > 0 else 0.0

    def as_json(self) -> str:
        """Return one JSON object on one line; `median_delay_s` is null where nothing was found."""
        total = self.grade.total
        return json.dumps(
            {
                "injected": total.injected,
                "found": total.found,
                "missed": total.missed,
                "false_alarms": self.grade.false_alarms,
                "median_delay_s": total.median_delay_s,
                "events": self.events,
                "events_per_second": round(self.events_per_second, 1),
            }
        )

    def table(self) -> Table:
        """Return the table for people: a line for each kind of fault, and one for all."""
        table = Table(title="Faults of the simulated fleet", caption=self._caption(), show_footer=True)
        total = self.grade.total
        table.add_column("fault", footer="all")
        for name, footer in (("injected", total.injected), ("found", total.found), ("missed", total.missed)):
            table.add_column(name, footer=str(footer), justify="right")
        table.add_column("median time to detect", footer=_duration(total.median_delay_s), justify="right")
        for kind, count in self.grade.kinds.items():
            cells = (str(count.injected), str(count.found), str(count.missed), _duration(count.median_delay_s))
            table.add_row(kind.replace("_", " "), *cells)
        return table

    def _caption(self) -> str:
        return (
            f"{self.grade.false_alarms:,} false alarms; {self.events:,} events in {self.seconds:,.1f} s, "
            f"{self.events_per_second:,.0f} events/s"
        )


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
