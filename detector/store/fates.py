"""What became of an incident at each sink, in the file of notification: for `detector explain`."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable


class What(StrEnum):
    """What became of an incident at a sink: a bounded set, used as a metric label."""

    TOLD = "told"
    SILENCED = "silenced"
    MUTED = "muted"
    UNROUTED = "unrouted"


class Fate(NamedTuple):
    """What became of an incident's message number `sequence` at a sink ("" = no sink), and when (epoch seconds).

    by  the message's id; the silence or the mute time
    """

    incident: str
    sink: str
    sequence: int
    what: What
    by: str
    at: float


def write(sqlite: sqlite3.Connection, fate: Fate) -> bool:
    """Write a fate in the place of the last one at that sink; returns whether it says something new."""
    old = of(sqlite, fate.incident, fate.sink)
    if old is not None and old[2:5] == fate[2:5]:
        return False
    sqlite.execute("INSERT OR REPLACE INTO fate VALUES (?, ?, ?, ?, ?, ?)", (*fate[:3], fate.what.value, *fate[4:]))
    return True


def write_all(sqlite: sqlite3.Connection, fates: Iterable[Fate]) -> None:
    """Write fates in the place of the last ones at their sinks."""
    sqlite.executemany(
        "INSERT OR REPLACE INTO fate VALUES (?, ?, ?, ?, ?, ?)",
        ((*fate[:3], fate.what.value, *fate[4:]) for fate in fates),
    )


def of(sqlite: sqlite3.Connection, incident: str, sink: str) -> Fate | None:
    """Return what became of an incident at a sink last."""
    return next((fate for fate in of_incident(sqlite, incident) if fate.sink == sink), None)


def of_incident(sqlite: sqlite3.Connection, identity: str) -> list[Fate]:
    """Return what became of an incident at each sink."""
    found = sqlite.execute(
        'SELECT incident, sink, sequence, what, "by", at FROM fate WHERE incident = ? ORDER BY sink', (identity,)
    )
    return [Fate(incident, sink, sequence, What(what), by, at) for incident, sink, sequence, what, by, at in found]
