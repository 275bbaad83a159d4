"""The store's folder: its id, and which file belongs to which partition.

store.json            {"format": 1, "id": "..."}
TOPIC/NUMBER.sqlite   a partition (with -wal and -shm beside it while it is in use)
TOPIC/NUMBER.lock     held by the process that has the partition open
notification.sqlite   what is notified of, and notification.lock: see `store.notification`
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from detector.errors import StoreDamagedError, StoreError, StoreFullError, StoreNewerError
from detector.types import Partition

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMAT = 1
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG}


class _About(msgspec.Struct):
    format: int
    id: str


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn OSError into StoreFullError where there is no room, StoreError otherwise."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            message = f"{path}: cannot be written ({error.strerror}): make room on its disk, or make it writable."
            raise StoreFullError(message) from error
        message = f"{path}: cannot be used ({error.strerror}): check the path (store.path?) and its permissions."
        raise StoreError(message) from error


def partition_file(folder: Path, partition: Partition) -> Path:
    """Return where a partition's SQLite file stands."""
    return folder / _escape(partition.topic) / f"{partition.number}.sqlite"


def refit_file(folder: Path, partition: Partition) -> Path:
    """Return where the record of a partition's last refit stands: for people, and no part of its state."""
    return partition_file(folder, partition).with_suffix(".refit")


def partition_of(file: Path) -> Partition:
    """Undo `partition_file`."""
    return Partition(unquote(file.parent.name, errors="surrogateescape"), int(file.stem))


def partitions(folder: Path) -> list[Partition]:
    """Return the partitions that have a file in the folder, sorted."""
    return sorted(partition_of(file) for file in folder.glob("*/*.sqlite") if file.stem.isdecimal())


def read_id(folder: Path) -> str:
    """Return the store's id; StoreError where the folder holds no store, StoreDamagedError, StoreNewerError."""
    file = folder / "store.json"
    if not file.exists():
        message = f"{folder}: holds no store (no store.json): check store.path."
        raise StoreError(message)
    try:
        with explained(file):
            about = msgspec.json.decode(file.read_bytes(), type=_About)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = (
            f'{file}: the store is damaged: expected {{"format": {FORMAT}, "id": "..."}} ({error}). Restore '
            "the file from a backup; or move it away to be given a new id "
            "(offsets committed before then count as another store's)."
        )
        raise StoreDamagedError(message) from error
    if about.format > FORMAT:
        message = (
            f"{file}: written by a newer detector (format {about.format}; this one reads up to {FORMAT}). "
            "Run that version, or give this one a folder of its own (store.path)."
        )
        raise StoreNewerError(message)
    return about.id


def make(folder: Path) -> None:
    """Make the folder and its id where they are not there yet; of two who make it at once, one wins."""
    file = folder / "store.json"
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if file.exists():
            return
        draft = folder / f"store.json.{os.getpid()}.{secrets.token_hex(4)}"
        try:
            with draft.open("xb") as out:
                out.write(msgspec.json.encode(_About(FORMAT, secrets.token_hex(8))) + b"\n")
                out.flush()
                os.fsync(out.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, file)
        finally:
            draft.unlink(missing_ok=True)
        sync(folder)


def sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _escape(topic: str) -> str:
    """Return a name for the topic's folder: itself, as Kafka's names are safe but for "." and ".."."""
    escaped = topic.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")
    return escaped if not escaped.startswith(".") else "%2E" + escaped[1:]
