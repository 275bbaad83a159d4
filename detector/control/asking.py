"""The operator's end of the channel: ask each daemon that shares the store's folder."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from detector.control import address
from detector.control.wire import ANSWER_BYTES, Answer, Request, receive, send
from detector.errors import CommandError, DaemonAwayError, DetectorError

_CONNECT_SECONDS = 5.0
_BEYOND_SECONDS = 35.0
"""How much longer than asked for the answer is waited for: the daemon itself tells when the time is over."""


def ask(folder: Path, command: str, payload: dict[str, Any] | None = None, *, seconds: float = 30.0) -> list[Answer]:
    """Ask every daemon that has its state in that folder; returns the answers of those whom it concerns, at least one.

    Raises DaemonAwayError where none runs, CommandError (or what else the daemon says, with its exit code) where one
    refuses, or where it concerns none of them. Sockets of daemons that have died are removed.
    """
    request = Request(command, payload or {}, seconds)
    answers = [answer for path in address.sockets(folder) if (answer := _ask(path, request)) is not None]
    if not answers:
        raise _none_runs(folder)
    for answer in answers:
        if answer.error and answer.mine:
            raise _refused(answer)
    concerned = [answer for answer in answers if answer.mine]
    if not concerned:
        raise CommandError("; ".join(dict.fromkeys(answer.error for answer in answers)))
    return concerned


def ask_one(folder: Path, command: str, payload: dict[str, Any] | None = None, *, seconds: float = 30.0) -> Answer:
    """Ask one of the daemons that have their state in that folder, for what they share.

    Raises what the daemon says, with its exit code, where it refuses; DaemonAwayError where it does not answer, or
    none runs.
    """
    request = Request(command, payload or {}, seconds)
    answer = next((answer for path in address.sockets(folder) if (answer := _ask(path, request)) is not None), None)
    if answer is None:
        raise _none_runs(folder)
    if answer.error:
        raise _refused(answer)
    return answer


def _none_runs(folder: Path) -> DaemonAwayError:
    message = (
        f"{folder}: no daemon runs here: start it with `detector run`, or name the folder of the one that you "
        "mean (--store, or the configuration's `store.path`); it must run on this machine"
    )
    error = DaemonAwayError(message)
    error.none_runs = True
    return error


def _ask(path: Path, request: Request) -> Answer | None:
    try:
        connection = address.connected(path, _CONNECT_SECONDS)
        if connection is None:
            with suppress(FileNotFoundError, PermissionError):  # another has removed it, or another's it stays
                path.unlink()
            return None
        with connection:
            return _talk(connection, request)
    except TimeoutError as error:
        message = f"{path}: the daemon does not answer; its log and its /healthz may tell why"
        raise DaemonAwayError(message) from error
    except PermissionError as error:
        message = f"{path}: this daemon runs as another user; ask as that user"
        raise CommandError(message) from error
    except OSError as error:
        message = f"{path}: the daemon cannot be asked: {error.strerror}"
        raise DaemonAwayError(message) from error


def _talk(connection: socket.socket, request: Request) -> Answer:
    with suppress(BrokenPipeError):  # it refused before it had read all: what it says comes next
        send(connection, request)
    raw = receive(connection, ANSWER_BYTES, request.seconds + _BEYOND_SECONDS)
    if not raw:
        message = f"{request.command}: the daemon ended before it had answered; what it did of it is not known"
        raise DaemonAwayError(message)
    return msgspec.json.decode(raw, type=Answer)


def _refused(answer: Answer) -> DetectorError:
    error = DetectorError(answer.error)
    error.exit_code = answer.exit_code
    return error
