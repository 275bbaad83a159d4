"""One process at a time: an advisory lock that dies with its process."""

from __future__ import annotations

import fcntl
import os
import socket
from typing import TYPE_CHECKING

from detector.errors import StoreLockedError

if TYPE_CHECKING:
    from pathlib import Path


class FileLock:
    """Holds `path` under flock until `close`; the file names the holder, for people.

    Taken by an open file, not by a process: the same process cannot take it twice either. The file is never deleted,
    because a deleted lock file can be locked by one while another makes and locks a new one.
    Raises StoreLockedError where another holds it, OSError where the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 500, 0).decode(errors="replace").strip() or "another process"
            os.close(self._fd)
            message = (
                f"{path}: this partition's store is in use by {holder}. Stop that daemon, or give this one a "
                "folder of its own (store.path); daemons of one group may share the folder, "
                "as the group gives each partition to one of them."
            )
            raise StoreLockedError(message) from None
        self._say(f"pid {os.getpid()} on {socket.gethostname()}\n")

    def close(self) -> None:
        """Unlock. Closing twice is harmless."""
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def _say(self, holder: str) -> None:
        assert self._fd is not None
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, holder.encode(), 0)
        except OSError:
            # A full disk must not keep the daemon from opening a store; only the holder's name is lost.
            return
