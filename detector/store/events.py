"""Kept events in a partition's file: for each offset what became of its rows, as far back as they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from detector.models.kept import decoded
from detector.store.checksum import checksum
from detector.store.connection import damaged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from detector.models.kept import Event
    from detector.types import KeptEvents

TABLES = """
-- Events with a high score and what became of them, many a row; `told`: those at or beyond the threshold.
CREATE TABLE IF NOT EXISTS event (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    first INTEGER NOT NULL, last INTEGER NOT NULL,  -- offsets
    events INTEGER NOT NULL, told INTEGER NOT NULL, body BLOB NOT NULL, checksum INTEGER NOT NULL
);
"""
"""Files of earlier versions have none: it is made when they are opened."""


def add(sqlite: sqlite3.Connection, events: Sequence[KeptEvents]) -> None:
    """Add events; what is read of one is what was added last."""
    sqlite.executemany(
        "INSERT INTO event (first, last, events, told, body, checksum) VALUES (?, ?, ?, ?, ?, ?)",
        ((*values, checksum(*values)) for values in map(_values, events)),
    )


def _values(events: KeptEvents) -> tuple[object, ...]:
    """Return the columns as SQLite gives them back: it knows no truth values, and the checksum tells types apart."""
    return events.first, events.last, events.rows, int(events.told), events.body


def prune(sqlite: sqlite3.Connection, keep: int) -> None:
    """Delete the oldest of those told, and of the others, beyond `keep` each; what is deleted goes row by row."""
    for told in (0, 1):
        total = 0
        found = sqlite.execute("SELECT sequence, events FROM event WHERE told = ? ORDER BY sequence DESC", (told,))
        for sequence, events in found:
            if total >= keep:
                sqlite.execute("DELETE FROM event WHERE told = ? AND sequence <= ?", (told, sequence))
                break
            total += events


def at(sqlite: sqlite3.Connection, file: Path, offset: int) -> list[Event]:
    """Return the events of a record, by their rows."""
    rows: dict[int, Event] = {}
    for event in _read(sqlite, file, "WHERE first <= ? AND last >= ? ORDER BY sequence", (offset, offset)):
        if event.position.offset == offset:
            rows[event.position.row] = event
    return [rows[row] for row in sorted(rows)]


def span(sqlite: sqlite3.Connection) -> tuple[int, int] | None:
    """Return the offsets of the first and the last event kept, None where there is none."""
    first, last = sqlite.execute("SELECT min(first), max(last) FROM event").fetchone()
    return None if first is None else (first, last)


def read_all(sqlite: sqlite3.Connection, file: Path) -> Iterator[Event]:
    """Yield every event kept, as it was added; StoreDamagedError where a checksum fails."""
    return _read(sqlite, file, "ORDER BY sequence", ())


def exist(sqlite: sqlite3.Connection) -> bool:
    """Tell whether the file has the table: an earlier version's has none until it is opened for writing."""
    (found,) = sqlite.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'event'").fetchone()
    return bool(found)


def _read(sqlite: sqlite3.Connection, file: Path, which: str, parameters: tuple[int, ...]) -> Iterator[Event]:
    if not exist(sqlite):
        return
    found = sqlite.execute(
        f"SELECT sequence, first, last, events, told, body, checksum FROM event {which}",  # noqa: S608 - a constant
        parameters,
    )
    for sequence, *values, expected in found:
        if checksum(*values) != expected:
            raise damaged(file, f"the checksum of kept events {sequence} fails")
        try:
            yield from decoded(values[-1])
        except (msgspec.DecodeError, ValueError) as error:
            raise damaged(file, f"kept events {sequence} cannot be read ({error})") from error
