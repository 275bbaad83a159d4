"""Commands: what an operator may ask of a running daemon. They are asked on any thread, and run on the main one.

The main thread alone owns the models and the positions, so a command needs no lock: it runs between two turns.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Lock
from typing import Any, NamedTuple

import structlog

from detector.errors import CommandError, DetectorError
from detector.version import __version__

log = structlog.get_logger(__name__)

Handler = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes a command's payload and returns its result, both plain JSON values.

What the operator did wrong it raises as CommandError, what is not this daemon's business as NotMineError; other
DetectorErrors (StoreFullError: there is no room for a control record) reach the operator as they are.
"""

WAITING = 32
"""Commands that may wait for the main thread."""
_PIECE_SECONDS = 0.1
"""How long commands may hold up the pipeline between two turns, the last one's overrun apart."""
_GRACE_SECONDS = 30.0
"""How long a command that has begun when its time is over is waited for."""


class _Pending(NamedTuple):
    name: str
    handler: Handler
    payload: dict[str, Any]
    result: Future[dict[str, Any]]


class Commands:
    """The commands of one daemon by name, and those that wait for their turn."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._pending: deque[_Pending] = deque()
        self._lock = Lock()
        self._closed = False

    def register(self, name: str, handler: Handler) -> None:
        """Let a command be asked by that name; each name is given once."""
        assert name not in self._handlers, f"two commands {name!r}"
        self._handlers[name] = handler

    def ask(self, name: str, payload: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Have a command run, on any thread but the main one, and return its result; waits at most `seconds` for it.

        Raises what the handler raises, and CommandError where the command is unknown or had no turn in time: then it
        has not run and will not.
        """
        pending = self._queue(name, payload)
        if not wait([pending.result], seconds).done:
            if pending.result.cancel():
                message = (
                    f"{name}: the daemon had no turn for it within {seconds:g} s, and nothing was done: it may be "
                    "compiling its model, or hang (its /healthz tells); ask again, or with a longer --timeout"
                )
                raise CommandError(message)
            if not wait([pending.result], _GRACE_SECONDS).done:
                message = f"{name}: the daemon has begun it, but is not done after {seconds + _GRACE_SECONDS:g} s"
                raise CommandError(message)
        return pending.result.result()

    def run_pending(self) -> None:
        """Run what waits, on the main thread, for a short while at most; what a command raises goes to its asker."""
        deadline = time.monotonic() + _PIECE_SECONDS
        while self._pending:
            self._run(self._pending.popleft())
            if time.monotonic() > deadline:
                return

    def close(self) -> None:
        """Refuse what waits and whatever comes: the daemon stops."""
        with self._lock:
            self._closed = True
        while self._pending:
            pending = self._pending.popleft()
            if pending.result.set_running_or_notify_cancel():
                pending.result.set_exception(_stopping(pending.name))

    def _queue(self, name: str, payload: dict[str, Any]) -> _Pending:
        handler = self._handlers.get(name)
        if handler is None:
            known = ", ".join(sorted(self._handlers))
            message = f"{name}: no command of this daemon (detector {__version__}); it knows: {known}"
            raise CommandError(message)
        pending = _Pending(name, handler, payload, Future())
        with self._lock:
            if self._closed:
                raise _stopping(name)
            if len(self._pending) >= WAITING:
                message = f"{name}: {WAITING} commands wait for the daemon already; ask again later"
                raise CommandError(message)
            self._pending.append(pending)
        return pending

    def _run(self, pending: _Pending) -> None:
        if not pending.result.set_running_or_notify_cancel():
            return
        try:
            result = pending.handler(pending.payload)
        except DetectorError as error:
            pending.result.set_exception(error)
        except Exception as error:
            # The pipeline goes on: what an operator asked must not end a daemon that does its work.
            log.exception("command_crashed", command=pending.name)
            explained = DetectorError(f"{pending.name}: a bug in the daemon, whose log has the traceback: {error!r}")
            pending.result.set_exception(explained)
        else:
            pending.result.set_result(result)


def _stopping(name: str) -> CommandError:
    return CommandError(f"{name}: the daemon is stopping; nothing was done")
