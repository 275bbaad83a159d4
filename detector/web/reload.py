"""`POST /-/reload`: who may ask for it, and how what came of it is answered."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Any

from detector.config.sections import Config, Http
from detector.errors import CommandError, ConfigError, DetectorError
from detector.protocols import Prepared

NOT_ALLOWED = (
    "only callers on this machine may ask for a reload, and those that have the token of the configuration's "
    "`http.reload_token` (Authorization: Bearer ...)"
)

Asked = Callable[[], dict[str, Any]]
"""Has the daemon reload, from any thread but its main one; returns what changed, or raises what was wrong."""


class Reload:
    """Judges callers, and asks for them. Raises ConfigError where the token cannot be used."""

    def __init__(self, asked: Asked, http: Http) -> None:
        self._asked = asked
        self._token = _token(http)

    def prepare(self, config: Config) -> Prepared:
        """Make ready to take another configuration's token."""
        token = _token(config.http)

        def apply() -> None:
            self._token = token

        return Prepared(apply, changed=() if token == self._token else ["http.reload_token"])

    def allowed(self, address: str, authorization: str) -> bool:
        """Tell whether a caller may: by the address that its connection came from, or by the token that it has."""
        if _is_loopback(address):
            return True
        scheme, _, given = authorization.partition(" ")
        if self._token is None or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode(), self._token.encode())

    def ask(self) -> tuple[int, dict[str, Any]]:
        """Ask for a reload; returns the status and the answer: what changed, or `error`, what was wrong."""
        try:
            return 200, self._asked()
        except ConfigError as error:
            return 400, {"error": str(error)}
        except CommandError as error:  # it had no turn in time, or stops
            return 503, {"error": str(error)}
        except DetectorError as error:
            return 500, {"error": str(error)}


def _token(http: Http) -> str | None:
    if http.reload_token is None:
        return None
    try:
        token = http.reload_token.reveal()
    except (OSError, UnicodeDecodeError) as error:
        message = f"http.reload_token: its file cannot be read: {error}"
        raise ConfigError(message) from error
    if not token:
        message = "http.reload_token: its file is empty; expected the token"
        raise ConfigError(message)
    return token


def _is_loopback(address: str) -> bool:
    try:
        ip = ip_address(address)
    except ValueError:  # no address: a socket that has none
        return False
    mapped = ip.ipv4_mapped if isinstance(ip, IPv6Address) else None
    return (mapped or ip).is_loopback
