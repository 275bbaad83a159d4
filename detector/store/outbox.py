"""The outbox and the dead letters in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from detector.store.checksum import checksum
from detector.store.connection import damaged
from detector.types import SUBJECT_LENGTH, Attempt, DeadLetter, OutboxEntry, Outcome, Partition, QueuedEntry

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence
    from pathlib import Path

TABLES = """
CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    sink TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, body BLOB NOT NULL, checksum INTEGER NOT NULL,
    created REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'queued', code TEXT NOT NULL DEFAULT '', detail TEXT NOT NULL DEFAULT '',
    UNIQUE (sink, id)
);
CREATE INDEX queued ON outbox (sink, sequence, due) WHERE state = 'queued';
CREATE INDEX about ON outbox (sink, substr(id, 1, 32), sequence, due) WHERE state = 'queued';  -- 32: SUBJECT_LENGTH
CREATE INDEX given_up ON outbox (sequence) WHERE state <> 'queued';
-- Kept by triggers, so that the backlog can be asked for often.
CREATE TABLE backlog (sink TEXT PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE TRIGGER enter AFTER INSERT ON outbox WHEN new.state = 'queued' BEGIN
    INSERT INTO backlog VALUES (new.sink, 1, length(new.body))
        ON CONFLICT (sink) DO UPDATE SET entries = entries + 1, bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER give_up AFTER UPDATE OF state ON outbox WHEN old.state = 'queued' AND new.state <> 'queued' BEGIN
    UPDATE backlog SET entries = entries - 1, bytes = bytes - length(old.body) WHERE sink = old.sink;
END;
CREATE TRIGGER leave AFTER DELETE ON outbox WHEN old.state = 'queued' BEGIN
    UPDATE backlog SET entries = entries - 1, bytes = bytes - length(old.body) WHERE sink = old.sink;
END;
"""
"""The outbox of a file: entries for any sinks, and what waits for each."""


_SAME_SUBJECT = (
    f"{{0}}.sink = outbox.sink AND substr({{0}}.id, 1, {SUBJECT_LENGTH}) = substr(outbox.id, 1, {SUBJECT_LENGTH}) "
    "AND {0}.state = 'queued'"
)


def add(sqlite: sqlite3.Connection, entries: Sequence[OutboxEntry], created: float) -> None:
    """Queue entries; one whose (id, sink) is known already changes nothing."""
    sqlite.executemany(
        "INSERT INTO outbox (id, sink, kind, body, checksum, created) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT (sink, id) DO NOTHING",
        ((*entry, checksum(*entry), created) for entry in entries),
    )


def add_again(sqlite: sqlite3.Connection, entries: Sequence[OutboxEntry], created: float) -> None:
    """Queue entries that went out before, also those that were given up; one that waits changes nothing."""
    sqlite.executemany(
        "DELETE FROM outbox WHERE sink = ? AND id = ? AND state <> 'queued'", ((e.sink, e.id) for e in entries)
    )
    add(sqlite, entries, created)


def due(sqlite: sqlite3.Connection, file: Path, sink: str, now: float, limit: int) -> list[QueuedEntry]:
    """Return the oldest entries of a sink that are queued and due, and behind no earlier one of their subject.

    Raises StoreDamagedError where a checksum fails.
    """
    found = sqlite.execute(
        "SELECT sequence, created, attempts, due, id, sink, kind, body, checksum FROM outbox "  # noqa: S608 - constants
        "WHERE sink = ? AND state = 'queued' AND due <= ? AND NOT EXISTS ("
        f"SELECT 1 FROM outbox AS earlier WHERE {_SAME_SUBJECT.format('earlier')} "
        "AND earlier.sequence < outbox.sequence AND earlier.due > ?) ORDER BY sequence LIMIT ?",
        (sink, now, now, limit),
    )
    queued = []
    for sequence, created, attempts, when, *parts, expected in found:
        if checksum(*parts) != expected:
            raise damaged(file, f"the checksum of outbox entry {sequence} fails")
        queued.append(QueuedEntry(sequence, OutboxEntry(*parts), created, attempts, when))
    return queued


def collapse(sqlite: sqlite3.Connection, sink: str) -> int:
    """Drop the queued entries of a sink behind which a later one of their subject is queued; returns how many.

    Messages of a group stay (their ids say -g): a later one does not tell again of the incidents that are over.
    """
    dropped = sqlite.execute(
        "DELETE FROM outbox WHERE sink = ? AND state = 'queued' AND id NOT GLOB '*-g*' AND EXISTS ("  # noqa: S608 - constants
        f"SELECT 1 FROM outbox AS later WHERE {_SAME_SUBJECT.format('later')} "
        "AND later.sequence > outbox.sequence)",
        (sink,),
    )
    return dropped.rowcount


def settle(sqlite: sqlite3.Connection, results: Sequence[tuple[QueuedEntry, Attempt, float]], keep: int) -> None:
    """Write what became of entries; of those given up, the newest `keep` stay."""
    for queued, attempt, again in results:
        if attempt.outcome is Outcome.DELIVERED:
            sqlite.execute("DELETE FROM outbox WHERE sequence = ?", (queued.sequence,))
            continue
        state, when = ("queued", again) if attempt.outcome is Outcome.RETRY else (attempt.outcome.value, queued.due)
        sqlite.execute(
            "UPDATE outbox SET attempts = attempts + 1, due = ?, state = ?, code = ?, detail = ? "
            "WHERE sequence = ? AND state = 'queued'",
            (when, state, attempt.code, attempt.detail, queued.sequence),
        )
    sqlite.execute(
        "DELETE FROM outbox WHERE sequence IN "
        "(SELECT sequence FROM outbox WHERE state <> 'queued' ORDER BY sequence DESC LIMIT -1 OFFSET ?)",
        (keep,),
    )


def backlog(sqlite: sqlite3.Connection) -> dict[str, tuple[int, float, int]]:
    """Return per sink the number of queued entries, when the oldest was created, and the bytes of their bodies."""
    found = sqlite.execute(
        "SELECT sink, entries, bytes, (SELECT created FROM outbox "
        "WHERE outbox.sink = backlog.sink AND state = 'queued' ORDER BY sequence LIMIT 1) FROM backlog "
        "WHERE entries > 0"
    )
    return {sink: (entries, oldest or 0.0, size) for sink, entries, size, oldest in found}


def keep_rejects(sqlite: sqlite3.Connection, rejects: Sequence[DeadLetter], keep: int) -> None:
    """Append dead letters and delete the oldest beyond `keep`."""
    sqlite.executemany(
        "INSERT INTO dead_letter (record_offset, timestamp, key, value, headers, row_numbers, reasons, detail) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                reject.offset,
                reject.timestamp,
                reject.key,
                reject.value,
                msgspec.msgpack.encode(reject.headers),
                msgspec.json.encode(reject.rows).decode(),
                msgspec.json.encode(reject.reasons).decode(),
                reject.detail,
            )
            for reject in rejects[-keep:]
        ),
    )
    if rejects:
        sqlite.execute(
            "DELETE FROM dead_letter WHERE sequence <= (SELECT max(sequence) FROM dead_letter) - ?",
            (keep,),
        )


def dead_letters(sqlite: sqlite3.Connection, file: Path, partition: Partition) -> list[DeadLetter]:
    """Return the dead letters kept, oldest first; StoreDamagedError where one cannot be read."""
    found = sqlite.execute(
        "SELECT record_offset, timestamp, key, value, headers, row_numbers, reasons, detail FROM dead_letter "
        "ORDER BY sequence"
    )
    try:
        return [
            DeadLetter(
                partition,
                offset,
                timestamp,
                key,
                value,
                msgspec.msgpack.decode(headers, type=tuple[tuple[str, bytes | None], ...]),
                msgspec.json.decode(rows, type=tuple[int, ...]),
                msgspec.json.decode(reasons, type=tuple[str, ...]),
                detail,
            )
            for offset, timestamp, key, value, headers, rows, reasons, detail in found
        ]
    except msgspec.DecodeError as error:
        raise damaged(file, f"a dead letter cannot be read ({error})") from error


class Kept(NamedTuple):
    """A row of the outbox with all that is known of it; `state` is "queued", "refused" or "gone"."""

    entry: OutboxEntry
    created: float
    attempts: int
    due: float
    state: str
    code: str
    detail: str


def read_all(sqlite: sqlite3.Connection, file: Path) -> Iterator[Kept]:
    """Yield the whole outbox, oldest first; StoreDamagedError where a checksum fails."""
    return read_some(sqlite, file, "1", [], -1)


def read_some(
    sqlite: sqlite3.Connection, file: Path, condition: str, values: Sequence[str], limit: int
) -> Iterator[Kept]:
    """Yield what meets an SQL condition, oldest first, at most `limit` (-1 = all); StoreDamagedError as `read_all`."""
    found = sqlite.execute(
        "SELECT sequence, checksum, id, sink, kind, body, created, attempts, due, state, code, detail FROM outbox "  # noqa: S608 - made of constants
        f"WHERE {condition} ORDER BY sequence LIMIT ?",
        [*values, limit],
    )
    for sequence, expected, identity, sink, kind, body, *rest in found:
        entry = OutboxEntry(identity, sink, kind, body)
        if checksum(*entry) != expected:
            raise damaged(file, f"the checksum of outbox entry {sequence} fails")
        yield Kept(entry, *rest)


def restore(sqlite: sqlite3.Connection, rows: Sequence[Kept]) -> None:
    """Append rows as they were read by `read_all`."""
    sqlite.executemany(
        "INSERT INTO outbox (id, sink, kind, body, checksum, created, attempts, due, state, code, detail) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        ((*row.entry, checksum(*row.entry), *row[1:]) for row in rows),
    )
