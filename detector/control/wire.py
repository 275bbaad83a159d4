"""What goes over a control socket: one request and one answer a connection, JSON to the end of the stream."""

from __future__ import annotations

import socket
import time
from typing import Any

import msgspec

REQUEST_BYTES = 256 << 10
ANSWER_BYTES = 64 << 20
LONGEST_SECONDS = 600.0
"""The longest that an asker may wait for its command."""


class Request(msgspec.Struct, frozen=True):
    """A command with its payload, and how many seconds its asker waits for it."""

    command: str
    payload: dict[str, Any] = {}
    seconds: float = 30.0


class Answer(msgspec.Struct, frozen=True):
    """The result of a command, or one line why there is none, with the exit code that goes with it.

    `mine` is False where the command means partitions or entities that are not this daemon's.
    """

    pid: int
    result: dict[str, Any] = {}
    error: str = ""
    exit_code: int = 0
    mine: bool = True


def send(connection: socket.socket, message: Request | Answer) -> None:
    """Send a message, and that it was the last."""
    connection.sendall(msgspec.json.encode(message))
    connection.shutdown(socket.SHUT_WR)


def receive(connection: socket.socket, limit: int, seconds: float) -> bytes:
    """Return all that comes; ValueError beyond `limit` bytes, TimeoutError when it takes more than `seconds` in all."""
    deadline, parts, size = time.monotonic() + seconds, list[bytes](), 0
    while True:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        part = connection.recv(1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
        if size > limit:
            message = f"more than {limit} bytes"
            raise ValueError(message)
