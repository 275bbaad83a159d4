"""Messages to chats, pagers and mailboxes through apprise, which knows their interfaces: the door to that library."""

from __future__ import annotations

import logging
import socket
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

import apprise

from detector.alerts import bodies, messages
from detector.alerts.targets import TargetNotAllowedError, allowed_address, networks
from detector.config.tls import reveal
from detector.errors import ConfigError
from detector.types import Attempt, OutboxEntry, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.alerts.rendering import Rendering
    from detector.config.sections import AppriseSink as Settings

# What its plugins log of a failure may name tokens and addresses.
logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)


class AppriseSink:
    """Sends to one service. All calls come from one thread.

    The library says whether it was taken, not why not: whatever is not counts as an outage, and is tried again. It
    makes its connections itself, so a host that its URL names is judged before each message; redirects it does not
    follow.
    """

    def __init__(self, settings: Settings, place: str, rendering: Rendering = bodies.text) -> None:
        """Read the URL; ConfigError where the library can make nothing of it. `place` is the section's YAML path."""
        self._name = settings.name
        self.collapse = settings.collapse
        self._timeout = settings.timeout
        self._rendering = rendering
        self._allowed = networks(settings.allow_networks)
        asset = apprise.AppriseAsset(app_id="detector", async_mode=False, http_redirects=False)
        self._service = apprise.Apprise(asset=asset)
        # A thread, as no timeout of the library bounds a service that answers a byte a second.
        self._under_way: Future[bool] | None = None
        if not self._service.add(reveal(settings.url, f"{place}.url")) or len(self._service) != 1:
            message = (
                f"{place}.url: expected one URL as apprise has them, such as slack://..., mailto://... or json://... "
                "(https://appriseit.com/services/)"
            )
            raise ConfigError(message)

    @property
    def name(self) -> str:
        """The sink's name in metrics and logs."""
        return self._name

    def deliver(self, entry: OutboxEntry, attempt: int) -> Attempt:  # noqa: ARG002 - each attempt is the same
        """Send once, within the timeout, whatever the service does."""
        if self._under_way is not None and not self._under_way.done():
            return Attempt(Outcome.RETRY, "timeout", "the service still holds the attempt before")
        message = messages.read(entry)
        text = self._rendering(entry).decode()
        title, kind = _title(message), _kind(message)

        def send() -> bool:
            self.judge()
            return bool(self._service.notify(body=text, title=title, notify_type=kind))

        self._under_way = _in_a_thread(send)
        try:
            taken = self._under_way.result(self._timeout)
        except TargetNotAllowedError as error:
            return Attempt(Outcome.RETRY, "not_allowed", str(error))
        except (socket.gaierror, UnicodeError):
            return Attempt(Outcome.RETRY, "connect", "the name of the service's host cannot be resolved")
        except TimeoutError:
            return Attempt(Outcome.RETRY, "timeout", f"the service did not answer in {self._timeout:g} s")
        if not taken:
            return Attempt(Outcome.RETRY, "not_taken", "the service did not take it, or could not be reached")
        return Attempt(Outcome.DELIVERED, "ok")

    def judge(self) -> int:
        """Resolve the hosts that the URL names, and return how many those are.

        Raises TargetNotAllowedError where one leads to where none may, socket.gaierror or UnicodeError where its name
        cannot be resolved.
        """
        hosts = _hosts(self._service[0])
        for host in hosts:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            allowed_address("the host of the service", [str(one[4][0]) for one in found], self._allowed)
        return len(hosts)

    def close(self) -> None:
        """Nothing is kept between messages."""


def _title(message: messages.Message) -> str:
    what = "resolved" if not message.firing else message.severity
    whose = "fleet " if message.fleet is not None or message.fleet_over is not None else ""
    values = (value for name, value in sorted(message.labels.items(), reverse=True) if name != "fleet")  # that is an id
    return f"{what}: {whose}{' '.join(values)}"


def _kind(message: messages.Message) -> apprise.NotifyType:
    if not message.firing:
        return apprise.NotifyType.SUCCESS
    return apprise.NotifyType.FAILURE if message.severity == "critical" else apprise.NotifyType.WARNING


def _hosts(service: Any) -> list[str]:
    """Return the host that a service's URL leads to; none where it has none, as that of a public service has.

    Where the URL of such a service could stand for a token as well, it counts as a host if it looks like one: a token
    must not be asked the name servers for.
    """
    host = str(getattr(service, "smtp_host", None) or service.host or "").strip("[]")
    places = ["{host}" in template for template in service.templates]
    looks = "." in host or ":" in host or host == "localhost"
    return [host] if host and (all(places) or (any(places) and looks)) else []


def _in_a_thread(send: Callable[[], bool]) -> Future[bool]:
    """Begin to send, on a thread that is left behind at exit."""
    result: Future[bool] = Future()

    def run() -> None:
        try:
            result.set_result(send())
        except Exception as error:  # noqa: BLE001 - it is handed to whoever waits
            result.set_exception(error)

    threading.Thread(target=run, name="apprise", daemon=True).start()
    return result
