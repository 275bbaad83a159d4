"""What waits in the outboxes of a store's folder, and what was given up: to look at, to try again, to drop.

All of it may be done while a daemon has the files open: each change is one short transaction.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from detector.store import folder, notification, outbox, schema
from detector.store.connection import Connection
from detector.store.viewing import viewed

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Change = Callable[[sqlite3.Connection, Path, str, list[str]], int]
    """Takes a condition and its parameters; returns how many entries it changed."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which entries are meant: those that meet all that is given.

    ids    of messages; none = any
    sink   None = any
    state  `queued`, `refused` (given up, or not taken) or `gone`; None = any
    """

    ids: tuple[str, ...] = ()
    sink: str | None = None
    state: str | None = None

    def where(self) -> tuple[str, list[str]]:
        """Return it as an SQL condition with its parameters."""
        marks = ", ".join("?" * len(self.ids))
        parts = [(f"id IN ({marks})", list(self.ids))] if self.ids else []
        parts += [("sink = ?", [self.sink])] if self.sink is not None else []
        parts += [("state = ?", [self.state])] if self.state is not None else []
        return " AND ".join(part for part, _ in parts) or "1", [value for _, values in parts for value in values]


class Waiting(NamedTuple):
    """An entry and the outbox that holds it: `notification`, or a partition's."""

    where: str
    kept: outbox.Kept


def listed(path: Path, choice: Choice, limit: int) -> tuple[list[Waiting], int]:
    """Return the oldest chosen entries of each outbox, at most `limit` in all, and how many there are.

    Raises StoreError where there is no store, StoreDamagedError where a checksum fails.
    """
    found: list[Waiting] = []
    count = 0
    condition, values = choice.where()
    for where, file in _files(path):
        with viewed(file) as sqlite:
            _check(sqlite, file)
            count += sqlite.execute(f"SELECT count(*) FROM outbox WHERE {condition}", values).fetchone()[0]  # noqa: S608 - made of constants
            rows = outbox.read_some(sqlite, file, condition, values, limit - len(found))
            found += [Waiting(where, kept) for kept in rows]
    return found, count


def missing(path: Path, choice: Choice) -> list[str]:
    """Return those of the chosen ids of which no entry meets the rest of the choice."""
    condition, values = choice.where()
    found: set[str] = set()
    for _, file in _files(path):
        with viewed(file) as sqlite:
            _check(sqlite, file)
            found.update(row[0] for row in sqlite.execute(f"SELECT id FROM outbox WHERE {condition}", values))  # noqa: S608 - made of constants
    return [identity for identity in choice.ids if identity not in found]


def sinks(path: Path) -> set[str]:
    """Return the names of the sinks of which anything waits or was given up; raises as `listed` does."""
    found: set[str] = set()
    for _, file in _files(path):
        with viewed(file) as sqlite:
            _check(sqlite, file)
            found.update(row[0] for row in sqlite.execute("SELECT DISTINCT sink FROM outbox"))
    return found


def retry(path: Path, choice: Choice, now: float) -> int:
    """Let the chosen entries be due, as if they were new; returns how many.

    What was given up queues up again, behind what waits. Raises StoreFullError where there is no room.
    """

    def again(sqlite: sqlite3.Connection, file: Path, condition: str, values: list[str]) -> int:
        given_up = f"({condition}) AND state <> 'queued'"
        entries = [kept.entry for kept in outbox.read_some(sqlite, file, given_up, values, -1)]
        sqlite.execute(f"DELETE FROM outbox WHERE {given_up}", values)  # noqa: S608 - made of constants
        sooner = f"UPDATE outbox SET due = 0 WHERE ({condition}) AND state = 'queued'"  # noqa: S608 - made of constants
        queued = sqlite.execute(sooner, values).rowcount
        outbox.add(sqlite, entries, now)
        return queued + len(entries)

    return sum(_changed(path, choice, again))


def drop(path: Path, choice: Choice) -> int:
    """Delete the chosen entries, which will not be sent any more; returns how many."""

    def away(sqlite: sqlite3.Connection, file: Path, condition: str, values: list[str]) -> int:  # noqa: ARG001 - as `again`
        return sqlite.execute(f"DELETE FROM outbox WHERE {condition}", values).rowcount  # noqa: S608 - made of constants

    return sum(_changed(path, choice, away))


def _changed(path: Path, choice: Choice, change: Change) -> Iterator[int]:
    for _, file in _files(path):
        opened = contextlib.closing(Connection(file, threading.Lock()))
        with opened as connection, connection.writing() as sqlite:
            _check(sqlite, file)
            yield change(sqlite, file, *choice.where())


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    folder.read_id(path)
    file = notification.file_in(path)
    if file.exists():
        yield "notification", file
    for partition in folder.partitions(path):
        yield str(partition), folder.partition_file(path, partition)


def _check(sqlite: sqlite3.Connection, file: Path) -> None:
    if file.name == notification.file_in(file.parent).name:
        schema.check_format(sqlite, file, application=notification.APPLICATION, newest=notification.FORMAT)
    else:
        schema.check_format(sqlite, file)
