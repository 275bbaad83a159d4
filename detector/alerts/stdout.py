"""Alerts as JSON lines on a file descriptor: standard output."""

from __future__ import annotations

import errno
import os
import select
import time

from detector.types import Attempt, OutboxEntry, Outcome

_TIMEOUT = 20.0
_ATOMIC = 512  # what POSIX promises a pipe takes in one piece once it is writable (PIPE_BUF)


class StdoutSink:
    """Writes each body as one line. A reader that does not read holds an attempt for `timeout` seconds at most."""

    def __init__(self, name: str, descriptor: int = 1, timeout: float = _TIMEOUT) -> None:
        self._name = name
        self._descriptor = descriptor
        self._timeout = timeout
        self._torn = False

    @property
    def name(self) -> str:
        """The sink's name in metrics and logs."""
        return self._name

    def deliver(self, entry: OutboxEntry, attempt: int) -> Attempt:  # noqa: ARG002 - each attempt is the same
        """Write one line; a line that an earlier attempt left unfinished is ended first."""
        line = (b"\n" if self._torn else b"") + entry.body + b"\n"
        try:
            written = self._write(line)
        except OSError as error:
            self._torn = False
            code = "closed" if error.errno in {errno.EPIPE, errno.EBADF} else "os_error"
            return Attempt(Outcome.RETRY, code, f"standard output: {error.strerror}")
        complete = written == len(line)
        self._torn = not complete and (written > 0 or self._torn)
        if not complete:
            return Attempt(Outcome.RETRY, "timeout", f"standard output took nothing for {self._timeout:g} s")
        return Attempt(Outcome.DELIVERED, "ok")

    def close(self) -> None:
        """Leave the descriptor open: it is the process's own."""

    def _write(self, line: bytes) -> int:
        """Return how many bytes went out in time. Writes no more at once than a ready pipe takes without blocking."""
        deadline = time.monotonic() + self._timeout
        written = 0
        while written < len(line):
            _, ready, _ = select.select([], [self._descriptor], [], max(deadline - time.monotonic(), 0.0))
            if not ready:
                break
            written += os.write(self._descriptor, line[written : written + _ATOMIC])
        return written
