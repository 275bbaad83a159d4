from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from detector.cli.reach import reach
from detector.config.load import parse
from detector.config.sections import Config

Requests = list[tuple[str, str, str | None]]


@contextmanager
def serving(status: int) -> Iterator[tuple[int, Requests]]:
    """Answer every request with `status`; yields the port and what was asked."""
    requests: Requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append((self.command, self.path, self.headers["Authorization"]))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"[]")

        do_POST = do_HEAD = do_GET  # noqa: N815 - as http.server calls them

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server calls it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1], requests
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def configured(
    sinks: str = "[]", registry: str = "null", source: str = "{kind: computer}", http: str = "{enabled: false}"
) -> Config:
    return parse(
        f"source: {source}\nevents: {{features: [a], registry: {registry}}}\nsinks: {sinks}\nhttp: {http}\n",
        "c",
        environ={},
    )


def test_a_configuration_that_names_nothing_has_nothing_to_reach() -> None:
    assert reach(configured("[{kind: stdout}]")) == []


def test_a_file_is_reached_where_it_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    (missing,) = reach(configured(source=f"{{kind: file, path: {path}}}"))
    path.touch()
    (there,) = reach(configured(source=f"{{kind: file, path: {path}}}"))
    assert (missing.address, missing.trouble, missing.exit_code) == (str(path), "No such file or directory", 4)
    assert there.trouble is None


def test_a_webhook_is_reached_without_a_request() -> None:
    with serving(500) as (port, requests):
        (reached,) = reach(
            configured(f"[{{kind: webhook, url: 'http://127.0.0.1:{port}/hunter2', allow_networks: 127.0.0.0/8}}]")
        )
    assert (reached.what, reached.address, reached.trouble) == ("webhook webhook", f"http://127.0.0.1:{port}", None)
    assert requests == []


@pytest.mark.parametrize(
    ("url", "trouble"),
    [
        ("http://127.0.0.1:1/", "Connection refused"),
        ("http://no.such.host.invalid/", "its name cannot be resolved"),
    ],
)
def test_a_webhook_that_is_away_is_told(url: str, trouble: str) -> None:
    (reached,) = reach(configured(f"[{{kind: webhook, url: '{url}', allow_networks: 127.0.0.0/8}}]"))
    assert (reached.trouble or "").startswith(trouble)
    assert reached.exit_code == 5


def test_a_webhook_that_does_not_speak_tls_is_told() -> None:
    with serving(200) as (port, _):
        (reached,) = reach(
            configured(f"[{{kind: webhook, url: 'https://127.0.0.1:{port}/', allow_networks: 127.0.0.0/8}}]")
        )
    assert "SSL" in (reached.trouble or "")


@pytest.mark.parametrize(
    ("sink", "trouble"),
    [
        ("url: 'json://127.0.0.1:9/hunter2', allow_networks: 127.0.0.0/8", None),
        ("url: 'json://127.0.0.1:9/hunter2'", "the host of the service leads to 127.0.0.1"),
        ("url: 'json://nosuch.invalid/hunter2'", "its name cannot be resolved"),
    ],
    ids=["allowed", "inside", "unknown"],
)
def test_the_host_of_a_service_is_judged_and_its_url_not_shown(sink: str, trouble: str | None) -> None:
    (reached,) = reach(configured(f"[{{kind: apprise, {sink}}}]"))
    assert (reached.what, reached.exit_code) == ("apprise apprise", 5)
    assert (reached.trouble is None) == (trouble is None)
    assert (reached.trouble or "").startswith(trouble or "")
    assert "hunter2" not in f"{reached}"


def test_a_service_whose_url_names_no_host_is_left_to_the_library() -> None:
    assert reach(configured("[{kind: apprise, url: 'discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js'}]")) == []


def test_a_webhook_that_leads_inside_is_told() -> None:
    with serving(200) as (port, requests):
        (reached,) = reach(configured(f"[{{kind: webhook, url: 'http://127.0.0.1:{port}/'}}]"))
    assert "allow_networks" in (reached.trouble or "")
    assert requests == []


def test_a_registry_is_asked_for_its_subjects() -> None:
    with serving(200) as (port, requests):
        registry = f"{{url: 'http://127.0.0.1:{port}/base/', username: u, password: p}}"
        (reached,) = reach(configured(registry=registry))
    assert (reached.what, reached.trouble, reached.exit_code) == ("schema registry", None, 4)
    assert requests == [("GET", "/base/subjects", "Basic dTpw")]


def test_a_registry_that_refuses_is_told_with_its_answer() -> None:
    with serving(401) as (port, _):
        (reached,) = reach(configured(registry=f"{{url: 'http://127.0.0.1:{port}'}}"))
    assert reached.trouble == "GET /subjects answered 401 Unauthorized"


def test_what_does_not_speak_http_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(100)
                client.sendall(b"hello\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        (reached,) = reach(configured(registry=f"{{url: 'http://127.0.0.1:{server.getsockname()[1]}'}}"))
        thread.join()
    assert reached.trouble


def test_an_address_to_listen_on_is_this_machines_and_may_be_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        (here,) = reach(configured(http=f"{{port: {server.getsockname()[1]}}}"))
    assert (here.what, here.address, here.trouble) == ("HTTP to listen", "127.0.0.1", None)
    (elsewhere,) = reach(configured(http="{host: 192.0.2.1}"))
    assert elsewhere.trouble == (
        "http.host '192.0.2.1', http.port 0: cannot listen: Cannot assign requested address; give an address of this "
        "machine"
    )
    assert elsewhere.exit_code == 1
