"""HTTP POST to one URL, within bounds whatever the receiver does: the door to httpx2."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from base64 import b64encode
from concurrent.futures import Future, ThreadPoolExecutor
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import httpx2

from detector.alerts import retry
from detector.alerts.targets import TargetNotAllowedError, allowed_address, networks
from detector.config.secrecy import MASK, shown_url
from detector.config.tls import tls_context
from detector.errors import ConfigError
from detector.types import Attempt, Outcome
from detector.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from detector.config.sections import Tls

_ANSWER_LIMIT = 64 << 10
_DETAIL_LIMIT = 200
_SHORTEST_SECRET = 8
"""Parts of a URL that are shorter are not masked in what a receiver says: they are words such as `alerts`."""

# At INFO httpx2 logs each request with its whole URL, and a URL may hold a token.
logging.getLogger("httpx2").setLevel(logging.WARNING)


class Post(NamedTuple):
    """One request: its body, and headers beside those that every request has."""

    body: bytes
    headers: Mapping[str, str]


class HttpTarget:
    """Posts to one URL. All calls come from one thread; connections are kept between them.

    The client is the asynchronous one, on an event loop of its own, because only there can one deadline bound a whole
    attempt: a receiver that sends a byte a second never runs into a timeout per read.
    """

    def __init__(  # noqa: PLR0913 - what the section of a sink says of its receiver
        self,
        url: str,
        place: str,
        *,
        timeout: float,
        tls: Tls,
        allow_networks: Sequence[str],
        headers: Mapping[str, str],
        now: Callable[[], float],
        connections: int = 1,
    ) -> None:
        """Read certificates; ConfigError where one, or the URL, cannot be used. `place` is the section's YAML path.

        The values of `headers` (names in lower case) are secrets; `connections` bounds the requests under way at once.
        """
        self._url = _usable(url, place)
        self._allowed = networks(allow_networks)
        self._timeout = timeout
        self._now = now
        # A receiver's error page may repeat what it was sent, and its first words go to the log.
        own = [part for value in headers.values() for part in (value, value.rpartition(" ")[2]) if part]
        self._echoes = sorted([*own, *_secrets_of(url)], key=len, reverse=True)
        self._loop = asyncio.new_event_loop()
        self._loop.set_default_executor(_DaemonThreads())
        self._client = httpx2.AsyncClient(
            headers={"content-type": "application/json", "user-agent": f"detector/{__version__}"} | dict(headers),
            verify=tls_context(tls, f"{place}.tls"),
            timeout=None,
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=connections, keepalive_expiry=60.0),
        )

    def post(self, body: bytes, headers: Mapping[str, str]) -> Attempt:
        """Post once, within the timeout, whatever the receiver does."""
        return self.post_all([Post(body, headers)])[0]

    def post_all(self, posts: Sequence[Post]) -> list[Attempt]:
        """Post each once, all at the same time, within the timeout; returns an attempt for each."""
        return self._loop.run_until_complete(self._post_all(posts))

    def close(self) -> None:
        """Close the connections. Closing twice is harmless."""
        if not self._loop.is_closed():
            self._loop.run_until_complete(self._client.aclose())
            self._loop.close()

    async def _post_all(self, posts: Sequence[Post]) -> list[Attempt]:
        return list(await asyncio.gather(*map(self._post, posts)))

    async def _post(self, post: Post) -> Attempt:
        deadline = self._loop.time() + self._timeout
        try:
            async with asyncio.timeout_at(deadline):
                answer = await self._client.send(await self._request(post), stream=True)
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

    async def _request(self, post: Post) -> httpx2.Request:
        """Address the request to what the URL's host resolves to and may, under the host's own name."""
        url = httpx2.URL(self._url)
        host = url.raw_host.decode("ascii")
        address = allowed_address(host, await self._addresses(host, url.port), self._allowed)
        return self._client.build_request(
            "POST",
            url.copy_with(host=address),
            content=post.body,
            headers={"host": url.netloc.decode("ascii")} | dict(post.headers),
            extensions={"sni_hostname": host},
        )

    async def _addresses(self, host: str, port: int | None) -> list[str]:
        """Look a host's name up on a thread of its own; an address needs none, and no thread to wait for."""
        try:
            return [str(ip_address(host))]
        except ValueError:
            found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return [str(one[4][0]) for one in found]

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


def _secrets_of(url: str) -> list[str]:
    """Return what of a URL may be a secret, in the forms in which a receiver may repeat it."""
    parts = httpx2.URL(url)
    words = [parts.path, parts.password, *parts.path.split("/"), *(value for _, value in parts.params.multi_items())]
    basic = b64encode(f"{parts.username}:{parts.password}".encode()) if parts.userinfo else b""
    forms = [*words, *map(quote, words), *(raw.decode() for raw in (parts.raw_path, parts.query, basic))]
    return [form for form in dict.fromkeys(forms) if len(form) >= _SHORTEST_SECRET]


def _usable(url: str, place: str) -> str:
    try:
        httpx2.URL(url)
    except httpx2.InvalidURL as error:
        message = f"{place}.url: expected a URL such as https://host:port/path ({error})"
        raise ConfigError(message) from None
    return url
