"""Where daemons listen for commands: `control-PID.sock` in the store's folder, one for each daemon that shares it."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

_LONGEST = 100
"""Bytes of a path that fit a socket's address, on every system (Linux takes 107)."""
_BACKLOG = 16
_GONE = {errno.ECONNREFUSED, errno.ENOENT}


def listen(folder: Path) -> tuple[socket.socket, Path]:
    """Listen in a folder, as nobody but this user may ask; returns the socket and its path. OSError as it comes.

    It listens before it gets its name, so whoever finds the name finds a daemon, or one that has died.
    """
    draft = folder / f".control-{os.getpid()}-{secrets.token_hex(4)}"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        os.fchmod(listener.fileno(), 0o600)  # so that it has never any other mode: bind takes it from here (on Linux)
        with _address(draft) as address:
            listener.bind(address)
        draft.chmod(0o600)
        listener.listen(_BACKLOG)
        path = _free_name(folder)
        draft.rename(path)
    except OSError:
        listener.close()
        draft.unlink(missing_ok=True)
        raise
    return listener, path


def connected(path: Path, seconds: float) -> socket.socket | None:
    """Connect to a daemon; None where nobody listens any more. OSError otherwise (PermissionError, TimeoutError)."""
    asking = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    asking.settimeout(seconds)
    try:
        with _address(path) as address:
            asking.connect(address)
    except OSError as error:
        asking.close()
        if error.errno in _GONE:
            return None
        raise
    return asking


def sockets(folder: Path) -> list[Path]:
    """Return the sockets in a folder, those of daemons that have died among them."""
    return sorted(path for path in folder.glob("control-*.sock") if path.is_socket())


def _free_name(folder: Path) -> Path:
    """Return this process's name, or the next one: in containers all daemons of a folder may be process 1."""
    for number in itertools.count(1):
        path = folder / f"control-{os.getpid()}{f'-{number}' if number > 1 else ''}.sock"
        other = connected(path, 1.0)
        if other is None:
            return path
        other.close()
    raise AssertionError


@contextlib.contextmanager
def _address(path: Path) -> Iterator[str]:
    """Yield what stands for a path in a socket's address: by its folder's descriptor where the path is too long."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
