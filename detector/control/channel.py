"""The daemon's end of the operator's channel: a thread that listens, and a short-lived one for each command asked."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from threading import BoundedSemaphore, Event, Thread

import msgspec
import structlog

from detector.control import address
from detector.control.commands import Commands
from detector.control.wire import LONGEST_SECONDS, REQUEST_BYTES, Answer, Request, receive, send
from detector.errors import DetectorError, NotMineError
from detector.telemetry.logs import Rarely

log = structlog.get_logger(__name__)

_AT_ONCE = 16
"""Connections that are served at once."""
_REQUEST_SECONDS = 5.0
"""How long a request may take to arrive, and an answer to leave."""
_LOOK_SECONDS = 0.2
"""How often the thread looks whether it shall end."""
_RETRY_SECONDS = 5.0
"""Time between two tries to listen, where the folder cannot take a socket for now (a full disk)."""


class Channel:
    """Listens in the store's folder from `start` to `close`.

    A folder that can take no socket is told of in the log, and no more: detection does not depend on it.
    """

    def __init__(self, folder: Path, commands: Commands, monotonic: Callable[[], float]) -> None:
        self._folder = folder
        self._commands = commands
        self._closed = Event()
        self._room = BoundedSemaphore(_AT_ONCE)
        self._said = Rarely(log, monotonic)
        self._thread = Thread(target=self._run, name="control", daemon=True)

    def start(self) -> None:
        """Begin to listen, and return."""
        self._thread.start()

    def close(self) -> None:
        """Listen no more, and refuse what waits; harmless when it never started, and twice."""
        self._closed.set()
        self._commands.close()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                listener, path = address.listen(self._folder)
            except OSError as error:
                detail = f"{self._folder}: no socket can be made for commands ({error.strerror}); trying again"
                self._said.say("control_unavailable", detail=detail)
                self._closed.wait(_RETRY_SECONDS)
                continue
            self._said.over("control_available")
            with listener:
                self._accept(listener)
            path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        listener.settimeout(_LOOK_SECONDS)
        while not self._closed.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            # Whoever finds no room waits in the socket's backlog for it, as long as the asker likes.
            while not self._room.acquire(timeout=_LOOK_SECONDS):
                if self._closed.is_set():
                    connection.close()
                    return
            Thread(target=self._serve, args=(connection,), name="command", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                answer = self._answer(connection)
                connection.settimeout(_REQUEST_SECONDS)
                send(connection, answer)
        except OSError as error:
            log.debug("asker_gone", error=str(error))
        finally:
            self._room.release()

    def _answer(self, connection: socket.socket) -> Answer:
        pid = os.getpid()
        try:
            raw = receive(connection, REQUEST_BYTES, _REQUEST_SECONDS)
            request = msgspec.json.decode(raw, type=Request)
        except (ValueError, TimeoutError) as error:  # what msgspec raises is a ValueError too
            return Answer(pid, error=f"no request that this daemon understands: {error}", exit_code=2)
        try:
            seconds = min(max(request.seconds, 0.0), LONGEST_SECONDS)
            return Answer(pid, self._commands.ask(request.command, request.payload, seconds))
        except NotMineError as error:
            return Answer(pid, error=str(error), exit_code=error.exit_code, mine=False)
        except DetectorError as error:
            return Answer(pid, error=str(error), exit_code=error.exit_code)
