"""The file of notification: what every worker of the folder takes in, and what the one that notifies makes of it.

notification.sqlite   incidents, groups, the outbox of the configured sinks, silences
notification.lock     held by the process that notifies
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from typing import TYPE_CHECKING

from detector.errors import StoreError
from detector.store import folder, outbox, schema, verdicts
from detector.store.connection import Connection, transaction
from detector.store.lock import FileLock
from detector.store.viewing import viewed
from detector.types import Partition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from detector.types import Attempt, QueuedEntry

FORMAT = 2
"""Version of the tables; a file with a greater one is refused."""

APPLICATION = 0x6465746E
"""SQLite's application id of this file ("detn")."""

NOTIFICATION = Partition("notification", 0)
"""The name of its outbox among those of partitions."""

_AUTOCHECKPOINT = 500
"""Pages after which a commit moves the WAL into the file."""

_TABLES = (
    outbox.TABLES
    + verdicts.TABLES
    + """
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    revision INTEGER NOT NULL,  -- of the last incident taken in
    grouped INTEGER NOT NULL    -- revision up to which incidents were put into groups
);
INSERT INTO head VALUES (1, 0, 0);
CREATE TABLE incident (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE, sequence INTEGER NOT NULL,
    kind TEXT NOT NULL, phase TEXT NOT NULL, reason TEXT, severity TEXT NOT NULL,
    topic TEXT NOT NULL, partition INTEGER NOT NULL, entity TEXT,
    start REAL NOT NULL, time REAL NOT NULL, peak REAL,
    shares TEXT NOT NULL, body BLOB NOT NULL,  -- JSON: share by feature; the alert's own body
    sinks TEXT NOT NULL,                       -- JSON array
    heard REAL NOT NULL, changed REAL NOT NULL, revision INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE INDEX incident_news ON incident (revision);
CREATE INDEX incident_open ON incident (topic, entity) WHERE phase <> 'resolve';
CREATE INDEX incident_over ON incident (number) WHERE phase = 'resolve';
-- What became of an incident at a sink: told, silenced (by which), muted (by which), or that no route took it.
CREATE TABLE fate (
    incident TEXT NOT NULL, sink TEXT NOT NULL, sequence INTEGER NOT NULL,
    what TEXT NOT NULL, by TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (incident, sink)
) WITHOUT ROWID;
-- Incidents that go to one sink in one message.
CREATE TABLE grouping (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    sink TEXT NOT NULL, route TEXT NOT NULL, labels TEXT NOT NULL,  -- the route's matchers; JSON object
    made REAL NOT NULL, told REAL,                                  -- when it began; when last a message was written
    messages INTEGER NOT NULL DEFAULT 0,
    fleet BLOB,  -- JSON: the one that was told of while any of its incidents was open
    UNIQUE (sink, route, labels)
);
CREATE TABLE member (
    grouping INTEGER NOT NULL, incident TEXT NOT NULL,
    sequence INTEGER NOT NULL DEFAULT 0, severity TEXT NOT NULL DEFAULT '',  -- as last told; 0 = not yet
    PRIMARY KEY (grouping, incident)
) WITHOUT ROWID;
CREATE INDEX member_incident ON member (incident);
-- Entities that each partition knows, as its worker says.
CREATE TABLE known (
    topic TEXT NOT NULL, partition INTEGER NOT NULL, entities INTEGER NOT NULL,
    PRIMARY KEY (topic, partition)
) WITHOUT ROWID;
CREATE TABLE fleet (
    topic TEXT PRIMARY KEY, id TEXT NOT NULL, since REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE silence (
    id TEXT PRIMARY KEY, matchers TEXT NOT NULL,  -- as Alertmanager writes them
    starts REAL NOT NULL, ends REAL NOT NULL, author TEXT NOT NULL, comment TEXT NOT NULL,
    created REAL NOT NULL, expired REAL,  -- when it was ended before its time
    checksum INTEGER NOT NULL
) WITHOUT ROWID;
"""
)


def file_in(path: Path) -> Path:
    """Return where the file of the store at `path` stands."""
    return path / "notification.sqlite"


class NotificationFile:
    """The file, opened or created; each thread takes a connection of its own.

    `keep_given_up` bounds the outbox entries that were given up; `now` is the clock that rows are stamped by. Raises
    StoreDamagedError, StoreNewerError, StoreLockedError, StoreError.
    """

    def __init__(self, path: Path, *, keep_given_up: int, now: Callable[[], float] = time.time) -> None:
        folder.make(path)
        self.file = file_in(path)
        self.now = now
        self._keep_given_up = keep_given_up
        self._turn = threading.Lock()
        self._opened: list[Connection] = []
        try:
            self._delivery = self.connect()
        except BaseException:
            self.close()
            raise

    def connect(self) -> Connection:
        """Return a connection for one thread; it is closed with the file.

        Without room on the disk its calls raise StoreFullError until there is some.
        """
        connection = Connection(
            self.file, self._turn, autocheckpoint=_AUTOCHECKPOINT, patient=True, prepare=self._prepare
        )
        self._opened.append(connection)
        return connection

    def lead(self) -> FileLock:
        """Become the one that notifies; StoreLockedError where another process is."""
        path = self.file.with_suffix(".lock")
        with folder.explained(path):
            return FileLock(path)

    def close(self) -> None:
        """Wait for calls under way and close. Closing twice is harmless."""
        for connection in self._opened:
            connection.close()

    def _prepare(self, sqlite: sqlite3.Connection) -> None:
        if schema.is_empty(sqlite):
            with transaction(sqlite, "BEGIN IMMEDIATE"):
                if schema.is_empty(sqlite):  # of several workers that begin at once one was first
                    schema.create_tables(sqlite, _TABLES, APPLICATION, FORMAT)
            with folder.explained(self.file):
                folder.sync(self.file.parent)
        schema.check_format(sqlite, self.file, application=APPLICATION, newest=FORMAT)

    # --- its outbox, as `Delivery` takes it

    @property
    def partition(self) -> Partition:
        """The name of the outbox."""
        return NOTIFICATION

    def due(self, sink: str, now: float, limit: int) -> list[QueuedEntry]:
        """Return the oldest undelivered entries of a sink that are due."""
        with self._delivery.reading() as sqlite:
            return outbox.due(sqlite, self.file, sink, now, limit)

    def collapse(self, sink: str) -> int:
        """Drop what a later message of its subject makes superfluous; returns how many."""
        with self._delivery.writing() as sqlite:
            return outbox.collapse(sqlite, sink)

    def settle(self, results: Sequence[tuple[QueuedEntry, Attempt, float]]) -> None:
        """Write what became of entries."""
        with self._delivery.writing() as sqlite:
            outbox.settle(sqlite, results, self._keep_given_up)

    def backlog(self) -> dict[str, tuple[int, float, int]]:
        """Return per sink: entries, created time of the oldest, bytes."""
        with self._delivery.reading() as sqlite:
            return outbox.backlog(sqlite)


@contextlib.contextmanager
def view(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file of the store at `path` for reading, as it is now, whether or not a daemon has it open.

    Raises StoreError where there is none.
    """
    file = file_in(path)
    if not file.exists():
        message = f"{path}: holds no {file.name}: no daemon has notified of anything here; check store.path."
        raise StoreError(message)
    with viewed(file) as sqlite:
        schema.check_format(sqlite, file, application=APPLICATION, newest=FORMAT)
        yield sqlite
