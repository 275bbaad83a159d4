"""A small schema registry: the part of Confluent's public API that a consumer needs, over HTTP or HTTPS."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote


class SchemaRegistry:
    """Schemas by id and by (subject, version). `broken` makes it answer every request with that status and body."""

    def __init__(self, credentials: tuple[str, str] | None = None) -> None:
        self.credentials = credentials
        self.broken: tuple[int, bytes] | None = None
        self.requests: list[str] = []
        self.url = ""
        self._schemas: dict[int, dict[str, Any]] = {}
        self._versions: dict[tuple[str, int], int] = {}

    def register(
        self, schema: Any, *, subject: str = "events-value", kind: str = "AVRO", references: Any = (), number: int = 0
    ) -> int:
        """Add a schema as the next version of its subject; returns its id."""
        number = number or len(self._schemas) + 1
        text = schema if isinstance(schema, str) else json.dumps(schema)
        self._schemas[number] = {"schema": text}
        if kind != "AVRO":  # as the registry does: the default is left out
            self._schemas[number]["schemaType"] = kind
        if references:
            self._schemas[number]["references"] = list(references)
        version = 1 + sum(name == subject for name, _ in self._versions)
        self._versions[subject, version] = number
        return number

    def answer(self, path: str, authorization: str | None) -> tuple[int, bytes]:
        """Return the status and body of GET `path`."""
        self.requests.append(path)
        if self.broken is not None:
            return self.broken
        if self.credentials is not None:
            expected = "Basic " + base64.b64encode(":".join(self.credentials).encode()).decode()
            if authorization != expected:
                return 401, json.dumps({"error_code": 401, "message": "Unauthorized"}).encode()
        match path.strip("/").split("/"):
            case ["schemas", "types"]:
                return 200, b'["JSON","PROTOBUF","AVRO"]'
            case ["schemas", "ids", number]:
                found = self._schemas.get(int(number))
                return _answer(found, 40403, f"Schema {number} not found")
            case ["subjects", subject, "versions", version]:
                key = (unquote(subject), int(version))
                held = self._versions.get(key)
                found = (
                    None if held is None else {"subject": key[0], "version": key[1], "id": held, **self._schemas[held]}
                )
                return _answer(found, 40402, f"Version {version} not found.")
        return 404, json.dumps({"error_code": 404, "message": "HTTP 404 Not Found"}).encode()


def _answer(found: dict[str, Any] | None, code: int, message: str) -> tuple[int, bytes]:
    if found is None:
        return 404, json.dumps({"error_code": code, "message": message}).encode()
    return 200, json.dumps(found).encode()


@contextmanager
def serving(registry: SchemaRegistry, tls: ssl.SSLContext | None = None, port: int = 0) -> Iterator[SchemaRegistry]:
    """Serve the registry on this computer, and tell it its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = registry.answer(self.path, self.headers.get("Authorization"))
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    registry.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
