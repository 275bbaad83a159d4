"""Talking to the service manager that started the daemon: systemd's notification protocol (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


class Supervisor:
    """Sends what the daemon's loop is doing to the socket that `NOTIFY_SOCKET` names; silent where it names none.

    A manager that does not listen any more changes nothing: detection does not depend on it.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # Linux's abstract namespace
            self._address = "\0" + self._address[1:]

    def ready(self) -> None:
        """Say that the daemon has begun to read."""
        self._send("READY=1")

    def turned(self) -> None:
        """Feed the watchdog: called from the main loop, so that a loop that hangs does not."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the daemon ends in order."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end, suppress(OSError):
            end.settimeout(0.0)
            end.sendto(message.encode(), self._address)
