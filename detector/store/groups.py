"""Groups and their members in the file of notification: incidents that go to one sink in one message."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from detector.store import incidents

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from detector.types import KnownIncident


class GroupRow(NamedTuple):
    """A group. `route` is its route's key; `made` and `told` are epoch seconds; `messages` so many were told.

    `fleet` is the fleet that it was last told of, as JSON; None where of none, or that it is over.
    """

    number: int
    sink: str
    route: str
    labels: dict[str, str]
    made: float
    told: float | None
    messages: int
    fleet: bytes | None


class Told(NamedTuple):
    """As what an incident was last told in its group: message number (0 = not yet) and severity."""

    sequence: int
    severity: str


def find_or_make(sqlite: sqlite3.Connection, sink: str, route: str, labels: Mapping[str, str], now: float) -> GroupRow:
    """Return the group of a sink, a route and labels; made at `now` where there is none."""
    text = msgspec.json.encode(dict(sorted(labels.items()))).decode()
    sqlite.execute(
        "INSERT OR IGNORE INTO grouping (sink, route, labels, made) VALUES (?, ?, ?, ?)", (sink, route, text, now)
    )
    (row,) = _read(sqlite, "WHERE sink = ? AND route = ? AND labels = ?", (sink, route, text))
    return row


def read_all(sqlite: sqlite3.Connection) -> list[GroupRow]:
    """Return all groups."""
    return list(_read(sqlite, "ORDER BY number", ()))


def delete(sqlite: sqlite3.Connection, number: int) -> None:
    """Delete a group and what is left of its members."""
    sqlite.execute("DELETE FROM member WHERE grouping = ?", (number,))
    sqlite.execute("DELETE FROM grouping WHERE number = ?", (number,))


def of_incident(sqlite: sqlite3.Connection, incident: str) -> list[int]:
    """Return the numbers of the groups that an incident belongs to."""
    found = sqlite.execute("SELECT grouping FROM member WHERE incident = ?", (incident,))
    return [number for (number,) in found]


def is_empty(sqlite: sqlite3.Connection, number: int) -> bool:
    """Return whether a group has no members."""
    return sqlite.execute("SELECT 1 FROM member WHERE grouping = ? LIMIT 1", (number,)).fetchone() is None


def join(sqlite: sqlite3.Connection, number: int, incident: str) -> None:
    """Make an incident a member; harmless where it is."""
    sqlite.execute("INSERT OR IGNORE INTO member (grouping, incident) VALUES (?, ?)", (number, incident))


def move_untold(sqlite: sqlite3.Connection, source: int, target: int, topic: str) -> bool:
    """Move the members of a topic that were not told of yet to another group; returns whether there were any."""
    moved = sqlite.execute(
        "UPDATE OR REPLACE member SET grouping = ? WHERE grouping = ? AND sequence = 0 "
        "AND EXISTS (SELECT 1 FROM incident WHERE id = member.incident AND topic = ?)",
        (target, source, topic),
    )
    return moved.rowcount > 0


def members(sqlite: sqlite3.Connection, file: Path, number: int) -> Iterator[tuple[KnownIncident, Told]]:
    """Yield the members of a group, in the order they began to be known, and as what each was told last."""
    told = {
        incident: Told(sequence, severity)
        for incident, sequence, severity in sqlite.execute(
            "SELECT incident, sequence, severity FROM member WHERE grouping = ?", (number,)
        )
    }
    for incident in incidents.members(sqlite, file, number):
        yield incident, told[incident.id]


def tell(  # noqa: PLR0913 - what a message was of
    sqlite: sqlite3.Connection,
    number: int,
    open_ones: Iterable[KnownIncident],
    over: Iterable[str],
    now: float,
    *,
    fleet: bytes | None,
) -> None:
    """Write that a group was told: of incidents as they are now, a last time of those that are over, of a fleet."""
    sqlite.executemany(
        "UPDATE member SET sequence = ?, severity = ? WHERE grouping = ? AND incident = ?",
        ((i.sequence, i.severity.value, number, i.id) for i in open_ones),
    )
    leave(sqlite, number, over)
    sqlite.execute(
        "UPDATE grouping SET told = ?, messages = messages + 1, fleet = ? WHERE number = ?", (now, fleet, number)
    )


def leave(sqlite: sqlite3.Connection, number: int, gone: Iterable[str]) -> None:
    """Take incidents out of a group."""
    sqlite.executemany("DELETE FROM member WHERE grouping = ? AND incident = ?", ((number, i) for i in gone))


def _read(sqlite: sqlite3.Connection, where: str, parameters: tuple[object, ...]) -> Iterator[GroupRow]:
    found = sqlite.execute(
        f"SELECT number, sink, route, labels, made, told, messages, fleet FROM grouping {where}",  # noqa: S608 - constants
        parameters,
    )
    for number, sink, route, labels, *rest in found:
        yield GroupRow(number, sink, route, msgspec.json.decode(labels, type=dict[str, str]), *rest)
