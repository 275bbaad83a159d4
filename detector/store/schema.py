"""The tables of a partition's file, and its head: the row that says what is current."""

from __future__ import annotations

import sqlite3
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from detector.errors import StoreNewerError, StoreOlderError
from detector.store import events, outbox
from detector.store.checksum import checksum
from detector.store.connection import damaged
from detector.types import Checkpoint, Partition, Position

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 5
"""Version of the tables and of the states in them; a file with another one is refused.

2  what slots keep of incidents follows their states, where there is any; what they were before has a table of its own
3  slots keep their usual interval and for how long a stray echoes, incidents how noisy they are
4  incidents keep the rows of their burst
5  slots keep the share of their time in which they were faulty
"""

APPLICATION = 0x64657463
"""SQLite's application id of these files ("detc")."""

_TABLES = (
    outbox.TABLES
    + events.TABLES
    + """
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    topic TEXT NOT NULL, number INTEGER NOT NULL,
    generation INTEGER NOT NULL,  -- of the last complete checkpoint
    staging INTEGER NOT NULL,     -- 1 = slots of the next generation are in the file
    through_offset INTEGER NOT NULL, through_row INTEGER NOT NULL, through_block INTEGER NOT NULL,
    checksum INTEGER NOT NULL
);
CREATE TABLE checkpoint (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    next_offset INTEGER NOT NULL, next_row INTEGER NOT NULL, block INTEGER NOT NULL,
    header BLOB NOT NULL, fingerprint TEXT NOT NULL, topic_id TEXT NOT NULL,
    checksum INTEGER NOT NULL
);
-- The newest version of each slot, and in `old` the one before while it may be needed. A version is current while its
-- generation is at most the head's; so a checkpoint makes any number of staged slots current by writing one number.
-- What is replaced moves away, as rows that grow in their place would leave pages half empty.
CREATE TABLE slot (
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    generation INTEGER NOT NULL,
    last_seen REAL NOT NULL, checksum INTEGER NOT NULL, state BLOB NOT NULL
);
CREATE TABLE old (
    id INTEGER PRIMARY KEY,       -- of the slot
    until INTEGER NOT NULL,       -- generation that replaced it: once that is current nobody needs it
    last_seen REAL NOT NULL, checksum INTEGER NOT NULL, state BLOB NOT NULL
);
CREATE TABLE control (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    boundary INTEGER NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL,  -- JSON
    checksum INTEGER NOT NULL
);
CREATE TABLE dead_letter (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    record_offset INTEGER NOT NULL, timestamp INTEGER NOT NULL,
    key BLOB, value BLOB, headers BLOB NOT NULL,  -- msgpack: [[name, bytes or nil], ...]
    row_numbers TEXT NOT NULL, reasons TEXT NOT NULL,  -- JSON arrays
    detail TEXT NOT NULL
);
"""
)


@dataclass(frozen=True, slots=True)
class Head:
    """What is current in the file; the fields are the columns."""

    topic: str
    number: int
    generation: int = 0
    staging: int = 0
    through_offset: int = 0
    through_row: int = 0
    through_block: int = 0

    @property
    def partition(self) -> Partition:
        """Whose file it is."""
        return Partition(self.topic, self.number)

    @property
    def through(self) -> Position:
        """Up to where alerts are complete (exclusive)."""
        return Position(self.through_offset, self.through_row)


def is_empty(sqlite: sqlite3.Connection) -> bool:
    """Return whether nothing was ever created in the file (or its creation did not complete)."""
    (tables,) = sqlite.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    return not tables


def create(sqlite: sqlite3.Connection, partition: Partition) -> None:
    """Create the tables, inside the caller's transaction."""
    create_tables(sqlite, _TABLES, APPLICATION, FORMAT)
    write_head(sqlite, Head(partition.topic, partition.number))


def create_tables(sqlite: sqlite3.Connection, tables: str, application: int, newest: int) -> None:
    """Run the statements of `tables`, and mark the file as of that application id and format."""
    statement = ""
    for line in tables.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            sqlite.execute(statement)
            statement = ""
    sqlite.execute(f"PRAGMA user_version = {newest}")
    sqlite.execute(f"PRAGMA application_id = {application}")


def check_format(
    sqlite: sqlite3.Connection, file: Path, *, application: int = APPLICATION, newest: int = FORMAT
) -> None:
    """Raise StoreNewerError, StoreOlderError or StoreDamagedError where this version cannot read the file."""
    (version,) = sqlite.execute("PRAGMA user_version").fetchone()
    (found,) = sqlite.execute("PRAGMA application_id").fetchone()
    if found != application:
        raise damaged(file, f"it is an SQLite file, but not a detector's of this use (application id {found})")
    if version > newest:
        message = (
            f"{file}: written by a newer detector (format {version}; this one reads up to {newest}). "
            "Run that version, or give this one a folder of its own (store.path)."
        )
        raise StoreNewerError(message)
    if 0 < version < newest:
        message = (
            f"{file}: written by an older detector (format {version}; this one reads {newest} alone). "
            "Run that version, or move the file away to start this partition cold."
        )
        raise StoreOlderError(message)
    if version < newest:
        raise damaged(file, f"its format {version} does not exist")


def read_head(sqlite: sqlite3.Connection, file: Path) -> Head:
    """Return the head; StoreDamagedError where it is not there or its checksum fails."""
    found = sqlite.execute(
        "SELECT topic, number, generation, staging, through_offset, through_row, through_block, checksum FROM head"
    ).fetchall()
    if len(found) != 1 or checksum(*found[0][:-1]) != found[0][-1]:
        raise damaged(file, "the checksum of its head fails")
    return Head(*found[0][:-1])


def write_head(sqlite: sqlite3.Connection, head: Head) -> None:
    """Make `head` current, inside the caller's transaction."""
    values = astuple(head)
    sqlite.execute("INSERT OR REPLACE INTO head VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, checksum(*values)))


def read_checkpoint(sqlite: sqlite3.Connection, file: Path) -> Checkpoint | None:
    """Return the last checkpoint, None before the first; StoreDamagedError where its checksum fails."""
    found = sqlite.execute(
        "SELECT next_offset, next_row, block, header, fingerprint, topic_id, checksum FROM checkpoint"
    ).fetchone()
    if found is None:
        return None
    offset, row, block, header, fingerprint, topic_id, expected = found
    if checksum(offset, row, block, header, fingerprint, topic_id) != expected:
        raise damaged(file, "the checksum of its checkpoint fails")
    return Checkpoint(Position(offset, row), block, header, fingerprint, topic_id)


def write_checkpoint(sqlite: sqlite3.Connection, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint, inside the caller's transaction."""
    values = (*checkpoint.position, checkpoint.block, checkpoint.header, checkpoint.fingerprint, checkpoint.topic_id)
    sqlite.execute("INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?, ?, ?, ?, ?)", (*values, checksum(*values)))
