"""Incidents in the file of notification."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from detector.store.checksum import checksum
from detector.store.connection import damaged
from detector.types import KnownIncident, Partition, Phase, Reason, Severity

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

_COLUMNS = (
    "id, sequence, kind, phase, reason, severity, topic, partition, entity, start, time, peak, shares, body, sinks, "
    "heard, changed, revision"
)
_PLACES = ", ".join("?" * 19)


class _Labelled(msgspec.Struct):
    labels: dict[str, str] = {}


_LABELS = msgspec.json.Decoder(_Labelled)


def find(sqlite: sqlite3.Connection, file: Path, identity: str) -> KnownIncident | None:
    """Return an incident by its id, None where it is not known (any more)."""
    return next(_read(sqlite, file, "WHERE id = ?", (identity,)), None)


def take_in(sqlite: sqlite3.Connection, incident: KnownIncident) -> KnownIncident:
    """Write an incident, new or as it is now; returns it with the revision that it was given."""
    (revision,) = sqlite.execute("UPDATE head SET revision = revision + 1 RETURNING revision").fetchone()
    written = replace(incident, revision=revision)
    values = _values(written)
    sqlite.execute(
        f"INSERT INTO incident ({_COLUMNS}, checksum) VALUES ({_PLACES}) "  # noqa: S608 - constants
        f"ON CONFLICT (id) DO UPDATE SET ({_COLUMNS}, checksum) = ({_PLACES})",
        (*values, checksum(*values)) * 2,
    )
    return written


def news(sqlite: sqlite3.Connection, file: Path, since: int, limit: int) -> list[KnownIncident]:
    """Return the incidents taken in after a revision, in order."""
    return list(_read(sqlite, file, "WHERE revision > ? ORDER BY revision LIMIT ?", (since, limit)))


def open_ones(sqlite: sqlite3.Connection, file: Path) -> Iterator[KnownIncident]:
    """Yield the incidents that are not over, in the order they began to be known."""
    return _read(sqlite, file, "WHERE phase <> 'resolve' ORDER BY number", ())


def members(sqlite: sqlite3.Connection, file: Path, group: int) -> Iterator[KnownIncident]:
    """Yield the members of a group, in the order they began to be known."""
    return _read(sqlite, file, "WHERE id IN (SELECT incident FROM member WHERE grouping = ?) ORDER BY number", (group,))


def over(sqlite: sqlite3.Connection, file: Path, limit: int) -> Iterator[KnownIncident]:
    """Yield the newest incidents that are over, in the order they began to be known."""
    newest = "SELECT number FROM incident WHERE phase = 'resolve' ORDER BY number DESC LIMIT ?"
    return _read(sqlite, file, f"WHERE number IN ({newest}) ORDER BY number", (limit,))


def open_ids(sqlite: sqlite3.Connection) -> list[str]:
    """Return the ids of the incidents that are not over, in the order they began to be known."""
    found = sqlite.execute("SELECT id FROM incident WHERE phase <> 'resolve' ORDER BY number")
    return [identity for (identity,) in found]


def read_all(sqlite: sqlite3.Connection, file: Path) -> Iterator[KnownIncident]:
    """Yield all incidents, in the order they began to be known."""
    return _read(sqlite, file, "ORDER BY number", ())


def latest(sqlite: sqlite3.Connection, file: Path, limit: int) -> list[KnownIncident]:
    """Return incidents, the newest first, open or not."""
    return list(_read(sqlite, file, "ORDER BY number DESC LIMIT ?", (limit,)))


def grouped(sqlite: sqlite3.Connection) -> int:
    """Return the revision up to which incidents were put into groups."""
    (revision,) = sqlite.execute("SELECT grouped FROM head").fetchone()
    return int(revision)


def set_grouped(sqlite: sqlite3.Connection, revision: int) -> None:
    """Write up to which revision incidents were put into groups."""
    sqlite.execute("UPDATE head SET grouped = ?", (revision,))


def stale(sqlite: sqlite3.Connection, file: Path, before: float) -> list[KnownIncident]:
    """Return open incidents of which nothing was heard since an epoch second."""
    return list(_read(sqlite, file, "WHERE phase <> 'resolve' AND changed < ?", (before,)))


def beginning(sqlite: sqlite3.Connection, file: Path, identity: str) -> list[KnownIncident]:
    """Return the incidents whose ids begin so, two of them at most."""
    return list(_read(sqlite, file, "WHERE substr(id, 1, ?) = ? LIMIT 2", (len(identity), identity)))


def prune(sqlite: sqlite3.Connection, keep: int) -> None:
    """Delete the oldest of those that are over beyond `keep`, but for members of a group: they are still to be told."""
    gone = sqlite.execute(
        "DELETE FROM incident WHERE number IN (SELECT number FROM incident WHERE phase = 'resolve' "
        "ORDER BY number DESC LIMIT -1 OFFSET ?) AND id NOT IN (SELECT incident FROM member) RETURNING id",
        (keep,),
    ).fetchall()
    sqlite.executemany("DELETE FROM fate WHERE incident = ?", gone)
    sqlite.executemany("DELETE FROM verdict WHERE incident = ?", gone)


def _read(
    sqlite: sqlite3.Connection, file: Path, where: str, parameters: tuple[object, ...]
) -> Iterator[KnownIncident]:
    found = sqlite.execute(f"SELECT checksum, {_COLUMNS} FROM incident {where}", parameters)  # noqa: S608 - constants
    for expected, *values in found:
        if checksum(*values) != expected:
            raise damaged(file, f"the checksum of incident {values[0]} fails")
        yield _incident(values)


def _values(incident: KnownIncident) -> tuple[object, ...]:
    return (
        incident.id,
        incident.sequence,
        incident.kind,
        incident.phase.value,
        incident.reason and incident.reason.value,
        incident.severity.value,
        *incident.partition,
        incident.entity,
        incident.start,
        incident.time,
        incident.peak,
        msgspec.json.encode(incident.shares).decode(),
        incident.body,
        msgspec.json.encode(incident.sinks).decode(),
        incident.heard,
        incident.changed,
        incident.revision,
    )


def _incident(values: list[Any]) -> KnownIncident:
    identity, sequence, kind, phase, reason, severity, topic, partition, entity, *rest = values
    start, time, peak, shares, body, sinks, heard, changed, revision = rest
    return KnownIncident(
        id=identity,
        sequence=sequence,
        kind=kind,
        phase=Phase(phase),
        reason=None if reason is None else Reason(reason),
        severity=Severity(severity),
        partition=Partition(topic, partition),
        entity=entity,
        start=start,
        time=time,
        peak=peak,
        shares=msgspec.json.decode(shares, type=dict[str, float]),
        body=body,
        labels=_LABELS.decode(body).labels,
        sinks=msgspec.json.decode(sinks, type=tuple[str, ...]),
        heard=heard,
        changed=changed,
        revision=revision,
    )
