"""Slots in the file: staged under the next generation, current once the head says so.

A slot that is staged leaves what it was in the table `old`. Once the next generation is current that is needed no more,
and goes a few at a time as others are staged.
"""

from __future__ import annotations

from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING

from detector.store.checksum import checksum
from detector.store.connection import damaged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from detector.types import SlotState

ROWS_PER_STATEMENT = 1000
"""Rows of one INSERT. Python's sqlite3 gives the GIL away around each statement and gets it back after up to 5 ms when
the main thread is busy: a statement a row would take seconds."""

_COLUMNS = 6

_UPSERT = """ ON CONFLICT (id) DO UPDATE SET
    generation = excluded.generation, last_seen = excluded.last_seen, checksum = excluded.checksum,
    state = excluded.state"""

_SWEPT_FOR_EACH = 8
_SWEPT_AT_LEAST = 1000
"""Ids among which a call looks for old versions that nobody needs: so many for each slot that it stages."""

_FROM = "FROM slot LEFT JOIN old ON generation > ?1 AND old.id = slot.id AND until > ?1"
_VISIBLE = "(generation <= ?1 OR old.id IS NOT NULL)"


def _current(column: str) -> str:
    return f"CASE WHEN generation <= ?1 THEN slot.{column} ELSE old.{column} END"


_CURRENT = f"SELECT entity, {_current('last_seen')}, {_current('checksum')}, {_current('state')} {_FROM}"


class Ids:
    """The row of each entity in the file, in memory.

    An index over entities in the file would be written at random places: with a million entities that takes several
    times as long as their states do. Written on the writer's thread, read on the main thread too.
    """

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._next = 1
        self._swept = 0

    def load(self, sqlite: sqlite3.Connection, file: Path) -> None:
        """Read all entities; StoreDamagedError where one is there twice."""
        self._ids = dict(sqlite.execute("SELECT entity, id FROM slot"))
        count, last = sqlite.execute("SELECT count(*), coalesce(max(id), 0) FROM slot").fetchone()
        if len(self._ids) != count:
            raise damaged(file, f"{count - len(self._ids)} of its slots are there twice")
        self._next = last + 1

    def drop(self, entities: Iterable[str]) -> None:
        """Forget entities whose rows are gone for good."""
        for entity in entities:
            self._ids.pop(entity, None)

    def clear(self) -> None:
        """Forget all."""
        self._ids.clear()

    def known(self, entities: Iterable[str]) -> list[int]:
        """Return the rows of those entities that have one, in their order in the file."""
        return sorted(row for row in map(self._ids.get, entities) if row is not None)

    def stage(self, sqlite: sqlite3.Connection, slots: Iterable[SlotState], generation: int) -> int:
        """Write slots as of `generation`, which is not current yet; returns the bytes of their entities and states.

        A new entity keeps its id where the transaction fails: the next attempt uses it.
        """
        written = staged = 0
        remaining = iter(slots)
        while part := list(islice(remaining, ROWS_PER_STATEMENT)):
            values: list[str | int | float | bytes] = []
            for row, slot in sorted(((self._id(slot.entity), slot) for slot in part), key=itemgetter(0)):
                seen = float(slot.last_seen)
                values += (row, slot.entity, generation, seen, checksum(slot.entity, seen, slot.state), slot.state)
                written += len(slot.entity) + len(slot.state)
            _put_away(sqlite, values[::_COLUMNS], generation)
            staged += len(part)
            rows = ",".join(["(?,?,?,?,?,?)"] * (len(values) // _COLUMNS))
            sqlite.execute(
                f"INSERT INTO slot (id, entity, generation, last_seen, checksum, state) VALUES {rows} {_UPSERT}",  # noqa: S608 - question marks alone
                values,
            )
        self._sweep(sqlite, staged, generation)
        return written

    def _sweep(self, sqlite: sqlite3.Connection, staged: int, generation: int) -> None:
        """Delete some old versions that were replaced before this generation, going round and round."""
        first = self._swept if self._swept < self._next else 0
        self._swept = first + max(_SWEPT_FOR_EACH * staged, _SWEPT_AT_LEAST)
        bounds = (first, self._swept, generation)
        sqlite.execute("DELETE FROM old WHERE id > ? AND id <= ? AND until < ?", bounds)

    def _id(self, entity: str) -> int:
        row = self._ids.setdefault(entity, self._next)
        if row == self._next:
            self._next += 1
        return row


def _put_away(sqlite: sqlite3.Connection, ids: Sequence[object], generation: int) -> None:
    """Keep what those slots are now, unless that is of the same generation."""
    sqlite.execute(
        "INSERT OR REPLACE INTO old SELECT id, ?, last_seen, checksum, state FROM slot "  # noqa: S608 - question marks alone
        f"WHERE id IN ({','.join('?' * len(ids))}) AND generation < ?",
        (generation, *ids, generation),
    )


def unstage(sqlite: sqlite3.Connection, current: int) -> None:
    """Undo what was staged after the `current` generation and never became current."""
    sqlite.execute(
        "INSERT OR REPLACE INTO slot SELECT id, entity, ?1, old.last_seen, old.checksum, old.state "
        "FROM slot JOIN old USING (id) WHERE generation > ?1 AND until > ?1",
        (current,),
    )
    sqlite.execute("DELETE FROM slot WHERE generation > ?", (current,))
    sqlite.execute("DELETE FROM old")


def delete(sqlite: sqlite3.Connection, rows: Sequence[int]) -> None:
    """Delete those rows."""
    for table in ("slot", "old"):
        sqlite.executemany(f"DELETE FROM {table} WHERE id = ?", ((row,) for row in rows))  # noqa: S608 - a constant


def read(sqlite: sqlite3.Connection, file: Path, rows: Sequence[int], current: int) -> dict[str, bytes]:
    """Return the entities and current states in those rows; rows that have none are left out."""
    found: dict[str, bytes] = {}
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500]
        query = f"{_CURRENT} WHERE {_VISIBLE} AND slot.id IN ({','.join('?' * len(part))})"
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
    query = f"SELECT entity, {_current('last_seen')} {_FROM} WHERE {_VISIBLE} ORDER BY entity"
    yield from sqlite.execute(query, (current,))


def heads(sqlite: sqlite3.Connection, current: int, length: int) -> Iterator[tuple[str, bytes]]:
    """Yield (entity, first `length` bytes of its state) of every current slot, in entity order, without verifying."""
    query = f"SELECT entity, substr({_current('state')}, 1, ?2) {_FROM} WHERE {_VISIBLE} ORDER BY entity"
    yield from sqlite.execute(query, (current, length))


def _verify(file: Path, entity: str, seen: float, state: bytes, expected: int) -> None:
    if checksum(entity, seen, state) != expected:
        raise damaged(file, f"the checksum of the slot of entity {entity!r} fails")
