"""Looking into one SQLite file of the store, whether or not it can be written and whether or not a daemon has it open.

A file in WAL mode needs others beside it even to be read. Of a folder that cannot be written it is read where those are
there, or nothing is in the WAL; else only a copy of the folder can be read.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from detector.errors import StoreError
from detector.store.connection import BUSY_TIMEOUT, explained, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}


@contextlib.contextmanager
def viewed(file: Path) -> Iterator[sqlite3.Connection]:
    """Yield one consistent view of a file that exists, as it is now.

    Raises StoreError where it cannot be read, StoreDamagedError, StoreLockedError.
    """
    with explained(file), contextlib.closing(_opened(file)) as sqlite, transaction(sqlite, "BEGIN"):
        yield sqlite


def _opened(file: Path) -> sqlite3.Connection:
    try:
        return _connected(file, "mode=rw")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in _UNWRITABLE:
            raise
    wal = file.with_name(f"{file.name}-wal")
    try:
        file.open("rb").close()
        written = wal.stat().st_size if wal.exists() else 0
    except OSError as error:
        message = f"{file}: cannot be read ({error.strerror}): check the path (store.path?) and its permissions."
        raise StoreError(message) from error
    if written:
        message = (
            f"{file}: cannot be read in a folder that cannot be written, as {wal.name} has what was written last: copy "
            "the folder to where it can be written, and name the copy (--store)."
        )
        raise StoreError(message)
    return _connected(file, "mode=ro&immutable=1")


def _connected(file: Path, how: str) -> sqlite3.Connection:
    sqlite = sqlite3.connect(f"{file.absolute().as_uri()}?{how}", uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)
    try:
        sqlite.execute("PRAGMA query_only = ON")
        sqlite.execute("PRAGMA temp_store = MEMORY")
        sqlite.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except BaseException:
        sqlite.close()
        raise
    return sqlite
