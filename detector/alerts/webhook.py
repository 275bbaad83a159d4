"""Alerts by HTTP POST, signed as Standard Webhooks 1.0.0 has it."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
from standardwebhooks import Webhook

from detector.alerts import retry
from detector.alerts.targets import TargetNotAllowedError, allowed_address, networks
from detector.config.secrecy import MASK, shown_url
from detector.config.tls import reveal, tls_context
from detector.config.webhook import header_value, signing_key
from detector.errors import ConfigError
from detector.types import Attempt, OutboxEntry, Outcome
from detector.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from detector.config.sections import Secret
    from detector.config.sections import WebhookSink as Settings

T = TypeVar("T")

_ANSWER_LIMIT = 64 << 10
_DETAIL_LIMIT = 200

# At INFO httpx2 logs each request with its whole URL, and a URL may hold a token.
logging.getLogger("httpx2").setLevel(logging.WARNING)


class WebhookSink:
    """Posts each body to one URL. All calls come from one thread; the connection is kept between them.

    The client is the asynchronous one, on an event loop of its own, because only there can one deadline bound a whole
    attempt: a receiver that sends a byte a second never runs into a timeout per read.
    """

    def __init__(self, settings: Settings, place: str, now: Callable[[], float] = time.time) -> None:
        """Read secrets and certificates; ConfigError where one cannot be used. `place` is the section's YAML path."""
        self._name = settings.name
        self._url = _usable(settings.url, place)
        self._allowed = networks(settings.allow_networks)
        self._timeout = settings.timeout
        self._now = now
        self._signers = [
            Webhook(_judged(signing_key, secret, f"{place}.secrets[{i}]")) for i, secret in enumerate(settings.secrets)
        ]
        given = {
            name.lower(): _judged(header_value, value, f"{place}.headers.{name}")
            for name, value in settings.headers.items()
        }
        # A receiver's error page may repeat what it was sent, and its first words go to the log.
        self._echoes = [value for value in given.values() if value]
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_DaemonThreads())
        self._client = httpx2.AsyncClient(
            headers={"content-type": "application/json", "user-agent": f"detector/{__version__}"} | given,
            verify=tls_context(settings.tls, f"{place}.tls"),
            timeout=None,
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=1, keepalive_expiry=60.0),
        )

    @property
    def name(self) -> str:
        """The sink's name in metrics and logs."""
        return self._name

    def deliver(self, entry: OutboxEntry, attempt: int) -> Attempt:  # noqa: ARG002 - each attempt is the same
        """Post once, within the timeout, whatever the receiver does."""
        return self._loop.run_until_complete(self._deliver(entry))

    def close(self) -> None:
        """Close the connection. Closing twice is harmless."""
        if not self._loop.is_closed():
            self._loop.run_until_complete(self._client.aclose())
            self._loop.close()

    async def _deliver(self, entry: OutboxEntry) -> Attempt:
        deadline = self._loop.time() + self._timeout
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._client.send(await self._request(entry), stream=True)
        except TargetNotAllowedError as error:
            return Attempt(Outcome.RETRY, "not_allowed", str(error))
        except TimeoutError:
            return Attempt(Outcome.RETRY, "timeout", f"{shown_url(self._url)} did not answer in {self._timeout:g} s")
        except (httpx2.HTTPError, OSError) as error:
            code = _code(error)
            return Attempt(Outcome.RETRY, code, f"{shown_url(self._url)}: {code} ({type(error).__name__})")
        outcome = retry.outcome_of(answer.status_code)
        asked = retry.retry_after(answer.headers.get("retry-after"), self._now())
        text = await self._beginning(answer, deadline)
        detail = f"{shown_url(self._url)} answered {answer.status_code}" + (f": {text}" if text else "")
        return Attempt(outcome, str(answer.status_code), detail, asked if outcome is Outcome.RETRY else None)

    async def _request(self, entry: OutboxEntry) -> httpx2.Request:
        """Address the request to what the URL's host resolves to and may, under the host's own name."""
        url = httpx2.URL(self._url)
        host = url.raw_host.decode("ascii")
        found = await self._loop.getaddrinfo(host, url.port, type=socket.SOCK_STREAM)
        address = allowed_address(host, [str(one[4][0]) for one in found], self._allowed)
        return self._client.build_request(
            "POST",
            url.copy_with(host=address),
            content=entry.body,
            headers={"host": url.netloc.decode("ascii")} | self._signed(entry),
            extensions={"sni_hostname": host},
        )

    async def _beginning(self, answer: httpx2.Response, deadline: float) -> str:
        """Read the body, so that the connection can be used again, within the limits; return its first words.

        The status alone decides what becomes of the alert: a body that is slow, endless or broken changes nothing.
        """
        read = bytearray()
        try:
            async with asyncio.timeout_at(deadline):
                async for part in answer.aiter_raw():
                    read += part
                    if len(read) > _ANSWER_LIMIT:
                        break
        except (TimeoutError, httpx2.HTTPError, OSError):
            pass
        finally:
            await answer.aclose()
        text = bytes(read).decode(errors="replace")
        for secret in self._echoes:
            text = text.replace(secret, MASK)
        return " ".join("".join(c if c.isprintable() else " " for c in text[:_DETAIL_LIMIT]).split())

    def _signed(self, entry: OutboxEntry) -> dict[str, str]:
        moment = datetime.fromtimestamp(int(self._now()), UTC)
        headers = {"webhook-id": entry.id, "webhook-timestamp": str(int(moment.timestamp()))}
        if self._signers:
            body = entry.body.decode()
            signatures = [signer.sign(entry.id, moment, body) for signer in self._signers]
            headers["webhook-signature"] = " ".join(signatures)
        return headers


class _DaemonThreads(ThreadPoolExecutor):
    """A thread per call, left behind at exit: a name look-up cannot be cancelled, and must not hold the daemon up."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it is handed to whoever waits
                future.set_exception(error)

        threading.Thread(target=run, name="look-up", daemon=True).start()
        return future


def _code(error: BaseException) -> str:
    """Return one of a bounded set of words for what went wrong on the way, for metrics."""
    causes = list(_causes(error))
    words: tuple[tuple[type[BaseException], str], ...] = (
        (socket.gaierror, "dns"),
        (ssl.SSLError, "tls"),
        (ConnectionRefusedError, "refused"),
        (ConnectionError, "reset"),
        (TimeoutError, "timeout"),
        (httpx2.TimeoutException, "timeout"),
        (httpx2.ProxyError, "proxy"),
        (httpx2.ConnectError, "unreachable"),
        (httpx2.NetworkError, "reset"),
        (httpx2.ProtocolError, "protocol"),
    )
    return next((word for kind, word in words if any(isinstance(cause, kind) for cause in causes)), "network")


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error, what it was raised from, and the members of groups among them."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        cause = waiting.pop()
        if cause in found:
            continue
        found.append(cause)
        waiting += [c for c in (cause.__cause__, cause.__context__) if c is not None]
        if isinstance(cause, BaseExceptionGroup):
            waiting += cause.exceptions
    return found


def _usable(url: str, place: str) -> str:
    try:
        httpx2.URL(url)
    except httpx2.InvalidURL as error:
        message = f"{place}.url: expected a URL such as https://host:port/path ({error})"
        raise ConfigError(message) from None
    return url


def _judged(judge: Callable[[str], T], secret: Secret, place: str) -> T:
    """Return what `judge` makes of a secret: those that stand in files have not been judged yet."""
    try:
        return judge(reveal(secret, place))
    except ValueError as error:
        message = f"{place}: {error}"
        raise ConfigError(message) from None
