"""A real HTTP(S) receiver of webhooks, on a free port and a thread of its own, that does what a test tells it to."""

from __future__ import annotations

import ipaddress
import ssl
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from standardwebhooks import Webhook

LOOPBACK = ["127.0.0.0/8", "::1/128"]
"""Where receivers listen: what a sink has to be allowed."""


@dataclass(frozen=True)
class Request:
    """A request as it came; `headers` with lower-case names, `connection` = the number of its TCP connection."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verify(self, secret: str) -> None:
        """Check the signature as a receiver would; WebhookVerificationError where it is wrong."""
        Webhook(secret).verify(self.body, self.headers)


@dataclass(frozen=True)
class Answer:
    """What the receiver does with one request.

    `status` 0 hangs up without a word. `until` is waited for before anything is said. `drip` sends the body a byte at
    a time, 20 a second, until the receiver stops; `drip_head` does the same with the head.
    """

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    until: threading.Event | None = None
    drip: bool = False
    drip_head: bool = False


class Receiver:
    """Listens from `with` on. Answers 500 to ids in `failing`, those of `script` in order, then `otherwise`."""

    def __init__(
        self, *answers: Answer | int, otherwise: Answer | int = 204, tls: ssl.SSLContext | None = None
    ) -> None:
        self.script = deque(_answer(a) for a in answers)
        self.otherwise = _answer(otherwise)
        self.failing: set[str] = set()
        self._received: list[Request] = []
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._connections = 0
        self._tls = tls
        self._port = 0
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}/alerts"

    @property
    def requests(self) -> list[Request]:
        with self._changed:
            return list(self._received)

    def start(self, host: str = "127.0.0.1") -> None:
        """Listen: on a free port at first, on the same one when started again."""
        self._stopped.clear()
        self._server = _Server(self, (host, self._port), self._tls)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Hang up on everyone and refuse connections from now on."""
        self._stopped.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._server = None

    def wait_for(self, condition: Callable[[list[Request]], bool], seconds: float = 20.0) -> list[Request]:
        """Wait until the requests received meet a condition; returns them."""
        with self._changed:
            met = self._changed.wait_for(lambda: condition(self._received), seconds)
            assert met, f"waited {seconds:g} s; received {[r.headers.get('webhook-id') for r in self._received]}"
            return list(self._received)

    def wait_for_count(self, count: int, seconds: float = 20.0) -> list[Request]:
        return self.wait_for(lambda received: len(received) >= count, seconds)

    def _connected(self) -> int:
        with self._changed:
            self._connections += 1
            return self._connections

    def _take(self, request: Request) -> Answer:
        with self._changed:
            self._received.append(request)
            self._changed.notify_all()
            if request.headers.get("webhook-id") in self.failing:
                return Answer(500)
            return self.script.popleft() if self.script else self.otherwise


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, receiver: Receiver, address: tuple[str, int], tls: ssl.SSLContext | None) -> None:
        self.receiver = receiver
        self.tls = tls
        self._open: set[Any] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake is made here, on the connection's own thread, so that a bad client blocks no other.
        if self.tls is not None:
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError:
                return
            self._open.add(request)
        super().finish_request(request, client_address)

    def hang_up(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(2)
            connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that goes away is what tests do."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self._connection = self.server.receiver._connected()

    def do_POST(self) -> None:
        length = int(self.headers["content-length"])
        body = self.rfile.read(length)
        if len(body) < length:
            return  # the client died while it sent
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._say(self.server.receiver._take(Request(self.path, headers, body, self._connection)))

    def do_GET(self) -> None:
        self.server.receiver._take(Request(self.path, {}, b"", self._connection))
        self._say(Answer(200))

    def _say(self, answer: Answer) -> None:
        if answer.until is not None:
            answer.until.wait(60)
        if answer.status == 0:
            self.close_connection = True
            return
        headers = {"content-length": str(len(answer.body)), **answer.headers}
        head = f"HTTP/1.1 {answer.status} Said\r\n" + "".join(f"{n}: {v}\r\n" for n, v in headers.items()) + "\r\n"
        self._send(head.encode(), slowly=answer.drip_head)
        self._send(answer.body, slowly=answer.drip)

    def _send(self, data: bytes, *, slowly: bool) -> None:
        if not slowly:
            self.wfile.write(data)
            return
        for i in range(len(data)):
            self.wfile.write(data[i : i + 1])
            self.wfile.flush()
            if self.server.receiver._stopped.wait(0.05):
                return

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature is the library's
        """Say nothing."""


def _answer(given: Answer | int) -> Answer:
    return Answer(given) if isinstance(given, int) else given


class Authority:
    """A certificate authority of the test's own, which writes PEM files into a folder."""

    def __init__(self, folder: Path, name: str = "test CA") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.ca_file = folder / f"{name.replace(' ', '-')}.pem"
        self.ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, password: bytes | None = None) -> tuple[Path, Path]:
        """Return certificate file and key file of a server or client that is `name` and 127.0.0.1."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        certificate = (
            self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key.public_key())
            .add_extension(names, critical=False)
            .add_extension(purposes, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        cert_file, key_file = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        key_file.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock),
        )
        return cert_file, key_file

    def server_context(self, *, ask_client: bool = False) -> ssl.SSLContext:
        """Return the context of a server on 127.0.0.1, which may insist on a client's certificate of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue("localhost"))
        if ask_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca_file)
        return context

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=2))
        )
