"""Connections to one SQLite file: transactions, and SQLite's errors in the words of the store."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from typing import TYPE_CHECKING

from detector.errors import StoreDamagedError, StoreError, StoreFullError, StoreLockedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another program (such as the sqlite3 shell) to let go of the file."""

_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def damaged(file: Path, found: str) -> StoreDamagedError:
    """Return the error for a file that is not what was written."""
    return StoreDamagedError(
        f"{file}: the store is damaged: {found}. Look at it with `detector state check`; then put a backup in "
        "its place (`detector state import`), or move the file away to start this partition cold."
    )


def _explain(file: Path, error: sqlite3.Error) -> Exception:
    if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.InterfaceError)):
        return error
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code in _NO_ROOM:
        return StoreFullError(f"{file}: cannot be written ({error}): make room on its disk, or make it writable.")
    if code in _LOCKED:
        return StoreLockedError(f"{file}: another program keeps the file locked ({error}): close it.")
    if isinstance(error, sqlite3.OperationalError) and code == sqlite3.SQLITE_ERROR:
        # An SQL error in a file whose format was checked: a table or column is not there any more.
        return damaged(file, str(error))
    return damaged(file, str(error)) if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} else error


@contextlib.contextmanager
def explained(file: Path) -> Iterator[None]:
    """Turn SQLite's errors into StoreFullError, StoreLockedError or StoreDamagedError; a bug in a call stays itself."""
    try:
        yield
    except sqlite3.Error as error:
        explanation = _explain(file, error)
        if explanation is error:
            raise
        raise explanation from error
    except UnicodeDecodeError as error:
        # Damaged text comes back in a value, or in the message of SQLite's own error.
        raise damaged(file, str(error)) from error


class Connection:
    """One connection, meant for one thread at a time; `close` waits for a call that is under way.

    `turn` is shared by the connections of one file: writing threads queue up there, since SQLite's own busy handler
    polls with growing sleeps. `autocheckpoint` is in pages of 8 KiB; 0 leaves moving the WAL to the others. Where there
    is no room even to open the file StoreFullError says so, now or, of a `patient` one, from each call until there is.
    `prepare` is called with the file once it is open.
    """

    def __init__(  # noqa: PLR0913 - the settings of SQLite by their names
        self,
        file: Path,
        turn: threading.Lock,
        *,
        autocheckpoint: int = 0,
        cache_kib: int = 2048,
        patient: bool = False,
        prepare: Callable[[sqlite3.Connection], None] = lambda _: None,
    ) -> None:
        self._file = file
        self._turn = turn
        self._settings = (
            "page_size = 8192",  # of a new file: seven slots of the usual size leave a tenth of 4096 bytes empty
            "synchronous = FULL",
            "temp_store = MEMORY",
            "secure_delete = OFF",
            f"cache_size = -{cache_kib}",
            f"wal_autocheckpoint = {autocheckpoint}",
        )
        self._prepare = prepare
        self._use = threading.Lock()
        self._closed = False
        self._opened: sqlite3.Connection | None = None
        try:
            with explained(file):
                self._open()
        except StoreFullError:
            if not patient:
                raise

    def _open(self) -> sqlite3.Connection:
        if self._opened is None:
            sqlite = sqlite3.connect(
                self._file, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, cached_statements=64
            )
            try:
                self._set_up(sqlite)
                self._prepare(sqlite)
            except BaseException:
                sqlite.close()
                raise
            self._opened = sqlite
        return self._opened

    def _set_up(self, sqlite: sqlite3.Connection) -> None:
        for setting in self._settings:
            sqlite.execute(f"PRAGMA {setting}")
        (mode,) = sqlite.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            message = f"{self._file}: SQLite offers no WAL here (it says {mode!r}): the store needs a local disk."
            raise StoreError(message)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view of the file."""
        with self._use, self._transaction("BEGIN") as sqlite:
            yield sqlite

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, durable when the block ends; nothing is left of it where the block raises."""
        with self._turn, self._use, self._transaction("BEGIN IMMEDIATE") as sqlite:
            yield sqlite

    @contextlib.contextmanager
    def staging(self) -> Iterator[sqlite3.Connection]:
        """One transaction that becomes durable with the next one of `writing`, by `sync`, or earlier, in their order.

        The WAL is written in order, and synced up to its end: no sync of its own is needed, which takes longer than
        what is written where pieces are small. The loss of power may undo the last of them.
        """
        with self._turn, self._use, self._unsynced(), self._transaction("BEGIN IMMEDIATE") as sqlite:
            yield sqlite

    def sync(self) -> None:
        """Make durable what `staging` wrote; StoreError where the disk fails."""
        with self._use:
            self._usable()
            try:
                wal = os.open(f"{self._file}-wal", os.O_RDONLY)
                try:
                    os.fsync(wal)
                finally:
                    os.close(wal)
            except OSError as error:
                message = f"{self._file}: what was written may not have reached the disk: {error.strerror}"
                raise StoreError(message) from error

    def version(self) -> int:
        """Return a number that changes when any other connection, of this process or another, has written the file."""
        with self._use, explained(self._file):
            (version,) = self._open().execute("PRAGMA data_version").fetchone()
        return int(version)

    def close(self) -> None:
        """Close; closing twice is harmless."""
        with self._use:
            self._closed = True
            with explained(self._file):
                if self._opened is not None:
                    self._opened.close()

    @contextlib.contextmanager
    def _unsynced(self) -> Iterator[None]:
        with explained(self._file):
            sqlite = self._usable()
            sqlite.execute("PRAGMA synchronous = NORMAL")
            try:
                yield
            finally:
                sqlite.execute("PRAGMA synchronous = FULL")

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with explained(self._file), transaction(self._usable(), begin) as sqlite:
            yield sqlite

    def _usable(self) -> sqlite3.Connection:
        if self._closed:
            message = f"{self._file}: the store was closed"
            raise StoreError(message)
        return self._open()


@contextlib.contextmanager
def transaction(sqlite: sqlite3.Connection, begin: str) -> Iterator[sqlite3.Connection]:
    """Commit when the block ends; nothing is left of it where the block raises."""
    sqlite.execute(begin)
    try:
        yield sqlite
        sqlite.execute("COMMIT")
    except BaseException:
        if sqlite.in_transaction:
            sqlite.execute("ROLLBACK")
        raise
