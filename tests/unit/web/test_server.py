from __future__ import annotations

import json
import re
import signal
import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import pytest
import structlog

from detector.config.sections import Http
from detector.errors import CommandError, ConfigError, DetectorError, StoreFullError
from detector.telemetry.health import BlockReason, Health
from detector.telemetry.metrics import Metrics
from detector.version import __version__
from detector.web.reload import Reload
from detector.web.server import WebServer


class Daemon:
    def __init__(self) -> None:
        self.time = 0.0
        self.metrics = Metrics()
        self.health = Health(self.metrics.blocked, lambda: self.time)
        self.asked: list[dict[str, Any] | DetectorError] = []
        self.server = WebServer(Http(port=0), self.metrics, self.health, Reload(self.reload, Http()))

    def reload(self) -> dict[str, Any]:
        """Take the next of what a reload comes to."""
        answer = self.asked.pop(0)
        if isinstance(answer, DetectorError):
            raise answer
        return answer

    def get(self, path: str, accept: str = "*/*", method: str = "GET") -> tuple[HTTPResponse, str]:
        connection = HTTPConnection(*self.server.address, timeout=10)
        connection.request(method, path, headers={"Accept": accept})
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response, body


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    daemon = Daemon()
    daemon.server.start()
    yield daemon
    daemon.server.close()


def test_metrics_are_served_as_text_or_openmetrics(daemon: Daemon) -> None:
    daemon.metrics.events_consumed.inc(7)
    response, body = daemon.get("/metrics")
    assert response.status == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "detector_events_consumed_total 7.0\n" in body
    response, body = daemon.get("/metrics", "application/openmetrics-text; version=1.0.0")
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith("# EOF\n")


def test_it_is_not_alive_when_the_loop_has_not_turned_for_a_minute(daemon: Daemon) -> None:
    assert daemon.get("/healthz")[0].status == 200
    daemon.time = 60
    response, body = daemon.get("/healthz")
    assert response.status == 503
    assert body == "the main loop has not turned for 60 seconds\n"
    daemon.health.turned()
    assert daemon.get("/healthz")[0].status == 200


def test_it_is_not_ready_while_blocked_and_says_by_what(daemon: Daemon) -> None:
    daemon.health.unblock(BlockReason.STARTING)
    daemon.health.block(BlockReason.SOURCE, "broker 127.0.0.1:1 cannot be reached")
    response, body = daemon.get("/readyz")
    assert response.status == 503
    assert json.loads(body) == {"ready": False, "reasons": {"source": "broker 127.0.0.1:1 cannot be reached"}}
    assert 'detector_blocked{reason="source"} 1.0' in daemon.get("/metrics")[1]
    daemon.health.unblock(BlockReason.SOURCE)
    response, body = daemon.get("/readyz")
    assert response.status == 200
    assert json.loads(body) == {"ready": True, "reasons": {}}


def test_the_index_names_the_version_and_links_every_page(daemon: Daemon) -> None:
    response, body = daemon.get("/")
    assert response.headers["content-type"].startswith("text/html")
    assert __version__ in body
    for path in ("/metrics", "/healthz", "/readyz"):
        assert f'href="{path}"' in body


def test_other_paths_and_methods_are_refused(daemon: Daemon) -> None:
    assert daemon.get("/nothing")[0].status == 404
    assert daemon.get("/metrics", method="POST")[0].status == 405


def test_the_address_holds_the_port_that_was_found(daemon: Daemon) -> None:
    host, port = daemon.server.address
    assert host == "127.0.0.1"
    assert port > 0


def test_the_log_tells_the_port_that_was_found() -> None:
    daemon = Daemon()
    with structlog.testing.capture_logs() as said:
        daemon.server.start()
    daemon.server.close()
    (line,) = said
    assert line["event"] == "listening"
    assert re.fullmatch(r"http://127\.0\.0\.1:[1-9][0-9]*/", line["url"])


def test_a_port_in_use_is_told_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        metrics = Metrics()
        server = WebServer(Http(port=port), metrics, Health(metrics.blocked), Reload(dict, Http()))
        with pytest.raises(
            DetectorError, match=rf"http.port {port}: cannot listen: Address already in use; give another"
        ):
            server.start()
        server.close()


def test_a_host_that_is_none_is_told() -> None:
    metrics = Metrics()
    http = Http(host="no.such.host.invalid", port=0)
    server = WebServer(http, metrics, Health(metrics.blocked), Reload(dict, http))
    with pytest.raises(DetectorError, match=r"http.host 'no.such.host.invalid'.*cannot listen"):
        server.start()


def test_closing_ends_the_thread_and_frees_the_port(daemon: Daemon) -> None:
    daemon.get("/")
    host, port = daemon.server.address
    daemon.server.close()
    daemon.server.close()
    assert "http" not in [thread.name for thread in threading.enumerate()]
    with socket.create_server((host, port)):
        pass


def test_closing_at_once_ends_the_thread() -> None:
    daemon = Daemon()
    daemon.server.start()
    daemon.server.close()
    assert "http" not in [thread.name for thread in threading.enumerate()]


def test_a_kept_connection_does_not_hold_up_closing(daemon: Daemon) -> None:
    connection = HTTPConnection(*daemon.server.address, timeout=10)
    connection.request("GET", "/")
    connection.getresponse().read()
    daemon.server.close()
    assert "http" not in [thread.name for thread in threading.enumerate()]
    connection.close()


@pytest.fixture
def handlers() -> Iterator[list[Any]]:
    """Set handlers of our own before the server starts; yields them, and puts the old ones back."""
    own = [lambda *_: None, lambda *_: None]
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, handler) for number, handler in zip(numbers, own, strict=True)]
    yield own
    for number, old in zip(numbers, before, strict=True):
        signal.signal(number, old)


def test_signal_handlers_stay_the_daemon_s_own(handlers: list[Any], daemon: Daemon) -> None:
    daemon.get("/")
    assert [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)] == handlers


@pytest.mark.parametrize(
    ("came", "status", "body"),
    [
        ({"at_once": ["log.level"]}, 200, {"at_once": ["log.level"]}),
        (ConfigError("c.yaml:3: log: wrong"), 400, {"error": "c.yaml:3: log: wrong"}),
        (StoreFullError("no room"), 500, {"error": "no room"}),
        (CommandError("no turn"), 503, {"error": "no turn"}),
    ],
    ids=["done", "wrong", "full", "busy"],
)
def test_a_reload_is_answered_with_what_came_of_it(
    daemon: Daemon, came: dict[str, Any] | DetectorError, status: int, body: dict[str, Any]
) -> None:
    daemon.asked.append(came)
    response, text = daemon.get("/-/reload", method="POST")
    assert (response.status, json.loads(text)) == (status, body)


def test_a_reload_is_not_asked_for_by_looking(daemon: Daemon) -> None:
    assert daemon.get("/-/reload")[0].status == 405
