"""Slots in the file: staged under the next generation, current once the head says so."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from detector.store.checksum import checksum
from detector.store.connection import damaged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from detector.types import SlotState

ROWS_PER_STATEMENT = 250
"""Rows of one INSERT. Python's sqlite3 gives the GIL away around each statement and gets it back after up to 5 ms when
the main thread is busy: a statement a row would take seconds."""

_COLUMNS = 5

_UPSERT = """ ON CONFLICT (entity) DO UPDATE SET
    old_last_seen = CASE WHEN generation < excluded.generation THEN last_seen ELSE old_last_seen END,
    old_checksum = CASE WHEN generation < excluded.generation THEN checksum ELSE old_checksum END,
    old_state = CASE WHEN generation < excluded.generation THEN state ELSE old_state END,
    generation = excluded.generation, last_seen = excluded.last_seen, checksum = excluded.checksum,
    state = excluded.state"""

_CURRENT = """
SELECT entity,
    CASE WHEN generation <= ?1 THEN last_seen ELSE old_last_seen END,
    CASE WHEN generation <= ?1 THEN checksum ELSE old_checksum END,
    CASE WHEN generation <= ?1 THEN state ELSE old_state END
FROM slot"""

_VISIBLE = "(generation <= ?1 OR old_state IS NOT NULL)"


def stage(sqlite: sqlite3.Connection, slots: Iterable[SlotState], generation: int) -> int:
    """Write slots as of `generation`, which is not current yet; returns the bytes of their entities and states."""
    written = 0
    remaining = iter(slots)
    while part := list(islice(remaining, ROWS_PER_STATEMENT)):
        values: list[str | int | float | bytes] = []
        for slot in part:
            seen = float(slot.last_seen)
            values += (slot.entity, generation, seen, checksum(slot.entity, seen, slot.state), slot.state)
            written += len(slot.entity) + len(slot.state)
        rows = ",".join(["(?,?,?,?,?)"] * (len(values) // _COLUMNS))
        sqlite.execute(
            f"INSERT INTO slot (entity, generation, last_seen, checksum, state) VALUES {rows} {_UPSERT}",  # noqa: S608 - question marks alone
            values,
        )
    return written


def unstage(sqlite: sqlite3.Connection, current: int) -> None:
    """Undo what was staged after the `current` generation and never became current."""
    sqlite.execute("DELETE FROM slot WHERE generation > ? AND old_state IS NULL", (current,))
    sqlite.execute(
        "UPDATE slot SET generation = ?, last_seen = old_last_seen, checksum = old_checksum, state = old_state "
        "WHERE generation > ?",
        (current, current),
    )


def forget(sqlite: sqlite3.Connection, entities: Sequence[str]) -> None:
    """Delete the slots of those entities."""
    sqlite.executemany("DELETE FROM slot WHERE entity = ?", ((entity,) for entity in entities))


def read(sqlite: sqlite3.Connection, file: Path, entities: Sequence[str], current: int) -> dict[str, bytes]:
    """Return the current states of those entities; unknown ones are left out."""
    found: dict[str, bytes] = {}
    for start in range(0, len(entities), 500):
        part = entities[start : start + 500]
        query = f"{_CURRENT} WHERE {_VISIBLE} AND entity IN ({','.join('?' * len(part))})"
        for entity, seen, expected, state in sqlite.execute(query, (current, *part)):
            _verify(file, entity, seen, state, expected)
            found[entity] = state
    return found


def read_all(sqlite: sqlite3.Connection, file: Path, current: int) -> Iterator[tuple[str, float, bytes]]:
    """Yield (entity, last_seen, state) of every current slot, verified, in no particular order."""
    for entity, seen, expected, state in sqlite.execute(f"{_CURRENT} WHERE {_VISIBLE}", (current,)):
        _verify(file, entity, seen, state, expected)
        yield entity, seen, state


def directory(sqlite: sqlite3.Connection, current: int) -> Iterator[tuple[str, float]]:
    """Yield (entity, last_seen) of every current slot, in entity order."""
    # NOT INDEXED: one pass and a sort; by the index it would be a seek a slot.
    query = f"""SELECT entity, CASE WHEN generation <= ?1 THEN last_seen ELSE old_last_seen END
        FROM slot NOT INDEXED WHERE {_VISIBLE} ORDER BY entity"""  # noqa: S608 - a constant
    yield from sqlite.execute(query, (current,))


def _verify(file: Path, entity: str, seen: float, state: bytes, expected: int) -> None:
    if checksum(entity, seen, state) != expected:
        raise damaged(file, f"the checksum of the slot of entity {entity!r} fails")
