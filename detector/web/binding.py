"""The address that the HTTP server listens on."""

from __future__ import annotations

import errno
import socket

from detector.config.sections import Http
from detector.errors import DetectorError


def bind(http: Http) -> socket.socket:
    """Bind and listen; DetectorError where the address cannot be had."""
    place = f"http.host {http.host!r}, http.port {http.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            http.host, http.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is no name of a host"
        message = f"{place}: cannot listen: {why}; give an address of this machine"
        raise DetectorError(message) from error
    try:
        # Without it a restart would find the port taken by the old connections for a minute.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        other = (
            "an address of this machine"
            if error.errno == errno.EADDRNOTAVAIL
            else "another `http.port`, 0 for any free one"
        )
        message = f"{place}: cannot listen: {error.strerror}; give {other}"
        raise DetectorError(message) from error
    return listener
