"""Folders that cannot be written, also for root, whom permissions do not bind."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_VERSION = 0x20080522  # of the kernel's header: two words a set
_DAC_OVERRIDE = 1 << 1

_MOUNTED = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take the right to write from a folder and all in it, and from this thread the right to pass over that."""
    everything = [folder, *folder.rglob("*")]
    before = {path: path.stat().st_mode for path in everything}
    for path in everything:
        path.chmod(before[path] & ~0o222)
    try:
        with _bound_by_permissions():
            with pytest.raises(PermissionError):
                (folder / "x").touch()
            yield
    finally:
        for path in everything:
            path.chmod(before[path])


@contextmanager
def _bound_by_permissions() -> Iterator[None]:
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    words = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice, for capabilities from 32 on
    assert libc.capget(header, words) == 0, os.strerror(ctypes.get_errno())
    had = words[0]
    words[0] = had & ~_DAC_OVERRIDE
    assert libc.capset(header, words) == 0, os.strerror(ctypes.get_errno())
    try:
        yield
    finally:
        words[0] = had
        assert libc.capset(header, words) == 0, os.strerror(ctypes.get_errno())


def mounted_read_only(folder: Path) -> list[str]:
    """Return what to put before a command, so that it finds `folder` on a read-only file system; skips where it cannot.

    It runs in a mount namespace of its own, so that nobody else is concerned and nothing is left of it.
    """
    namespace = ["--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--mount"]
    command = ["unshare", *namespace, "sh", "-c", _MOUNTED, "sh", str(folder)]
    tried = subprocess.run([*command, "touch", str(folder / "x")], check=False, capture_output=True, text=True)
    if "Read-only file system" not in tried.stderr:
        pytest.skip(f"no mount namespace can be had here: {tried.stderr}")
    return command
