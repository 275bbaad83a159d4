"""The demo's own webhook receiver: what the demo shows is what it received, its signature verified."""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from standardwebhooks import Webhook, WebhookVerificationError

Receive = Callable[[dict[str, Any]], None]

_PATH = "/alerts"
_MOST_BYTES = 1 << 20
_IDLE_SECONDS = 30.0


class Receiver:
    """Listens on a free port of 127.0.0.1 while it is entered, and hands each alert on once.

    `receive` gets the alert's JSON object, on a thread of the receiver. Delivery is at least once, so a message that
    comes again is answered the same and not handed on again. What is not signed with `secret` is refused with 401.
    """

    def __init__(self, receive: Receive) -> None:
        self.secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        self._webhook = Webhook(self.secret)
        self._receive = receive
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        # Polls for the end of `serve_forever`: how long `__exit__` may take.
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="demo-receiver", daemon=True
        )

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self._server.server_address[1]}{_PATH}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _accept(self, body: bytes, headers: dict[str, str]) -> int:
        """Return the status to answer."""
        try:
            alert = self._webhook.verify(body, headers)
        except (WebhookVerificationError, binascii.Error):
            return 401
        except ValueError:  # signed, but no JSON; or a signature header that has no version
            return 400
        if not isinstance(alert, dict):
            return 400
        with self._lock:
            message = headers["webhook-id"]
            if message not in self._seen:
                self._receive(alert)
                self._seen.add(message)
        return 204

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        accept = self._accept

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = _IDLE_SECONDS

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if self.path != _PATH:
                    status = 404
                elif not length.isdecimal():
                    status = 411
                elif int(length) > _MOST_BYTES:
                    status = 413
                else:
                    body = self.rfile.read(int(length))
                    self._answer(accept(body, {k.lower(): v for k, v in self.headers.items()}))
                    return
                self.close_connection = True  # the body is still unread
                self._answer(status)

            def _answer(self, status: int) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                if self.close_connection:
                    self.send_header("Connection", "close")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server calls it
                """Say nothing: standard error belongs to the daemon's log."""

        return Handler
