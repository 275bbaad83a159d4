"""Looking into files of a folder that cannot be written."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from detector.errors import StoreDamagedError, StoreError, StoreFullError
from detector.store.connection import Connection
from detector.store.viewing import viewed
from tests.support.read_only import read_only


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Make a file with one row, closed in order: no WAL is left."""
    (tmp_path / "a %20 folder?").mkdir()
    file = tmp_path / "a %20 folder?" / "0.sqlite"
    with sqlite3.connect(file) as sqlite:
        sqlite.execute("PRAGMA journal_mode = WAL")
        sqlite.execute("CREATE TABLE t (x)")
        sqlite.execute("INSERT INTO t VALUES (1)")
    sqlite.close()
    return file


def rows(file: Path) -> list[int]:
    with viewed(file) as sqlite:
        return [x for (x,) in sqlite.execute("SELECT x FROM t")]


def killed(file: Path, beside: tuple[str, ...] = ("", "-wal", "-shm")) -> Path:
    """Return a copy of the file as a process leaves it that is killed when it has written another row."""
    sqlite = sqlite3.connect(file)
    sqlite.execute("INSERT INTO t VALUES (2)")
    sqlite.commit()
    copy = file.parent.with_name("copy")
    copy.mkdir()
    for suffix in beside:
        shutil.copy(f"{file}{suffix}", copy)
    sqlite.close()
    return copy / file.name


def test_a_file_of_a_folder_that_cannot_be_written_is_read(file: Path) -> None:
    with read_only(file.parent):
        assert rows(file) == [1]
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_so_is_what_a_killed_process_wrote_last(file: Path) -> None:
    copy = killed(file)
    with read_only(copy.parent):
        assert rows(copy) == [1, 2]


def test_a_copy_that_cannot_be_read_there_is_told_of(file: Path) -> None:
    copy = killed(file, ("", "-wal"))
    with read_only(copy.parent), pytest.raises(StoreError, match=r"0\.sqlite-wal has what was written last: copy"):
        rows(copy)
    assert rows(copy) == [1, 2]


def test_a_view_is_as_of_when_it_began_and_changes_nothing(file: Path) -> None:
    writer = sqlite3.connect(file)
    with viewed(file) as sqlite:
        assert sqlite.execute("SELECT count(*) FROM t").fetchone() == (1,)
        writer.execute("INSERT INTO t VALUES (2)")
        writer.commit()
        assert sqlite.execute("SELECT count(*) FROM t").fetchone() == (1,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            sqlite.execute("DELETE FROM t")
    writer.close()
    assert rows(file) == [1, 2]


def test_a_file_that_is_no_database_is_damaged(file: Path) -> None:
    file.write_bytes(b"x" * 4096)
    with pytest.raises(StoreDamagedError):
        rows(file)


def test_who_would_write_is_told_that_it_cannot_be(file: Path) -> None:
    with read_only(file.parent), pytest.raises(StoreFullError, match="make it writable"):
        Connection(file, threading.Lock())
