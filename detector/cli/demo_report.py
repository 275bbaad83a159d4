"""How well the alerts of `detector demo --fleet` fit the faults that were put in, and the table that says so.

A fault is found when an alert of its host has its event time within [start, end + grace]; the delay is that of the
first such alert, measured from the fault's start in event time. Further alerts within the same fault count for
nothing. An alert that lies within no fault of its host is a false alarm; each counts.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.table import Table

from detector.sources.simulation import Fault

GRACE = 600.0
"""Seconds of event time after a fault during which an alert still belongs to it: values return, and are smoothed."""


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


def grade(faults: Sequence[Fault], alerts: Iterable[tuple[str | None, float]], *, grace: float = GRACE) -> Grade:
    """Judge alerts, each (entity, event time in epoch seconds) in any order, by the faults."""
    first: dict[Fault, float] = {}
    false_alarms = 0
    for host, time in alerts:
        fitting = [fault for fault in faults if fault.host == host and fault.start <= time <= fault.end + grace]
        for fault in fitting:
            first[fault] = min(time, first.get(fault, time))
        false_alarms += not fitting

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
