"""Servers of others that tests start and end."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.support.broker import wait_until


@contextmanager
def served(what: str, command: Sequence[str], url: str, log: Path) -> Iterator[None]:
    """Start a server that answers `/-/ready` under `url` once it is ready, and end it; `log` takes what it says."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    def ready() -> bool:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        try:
            return httpx2.get(f"{url}/-/ready", timeout=5).status_code == httpx2.codes.OK
        except httpx2.TransportError:
            return False

    try:
        wait_until(ready, f"{what} to be ready")
        yield
    finally:
        process.terminate()
        process.wait(30)
