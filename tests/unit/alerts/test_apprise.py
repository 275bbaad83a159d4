"""Through apprise to a real receiver: the library's json:// posts what it is given as JSON."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest

from detector.alerts.apprise import AppriseSink, _hosts
from detector.alerts.rendering import rendering
from detector.config import sections
from detector.errors import ConfigError
from detector.types import Attempt, Outcome, Reason
from tests.support.alerts import alert, ended, entry_of, fleet_entry, risen
from tests.support.receiver import LOOPBACK, Answer, Receiver


def sink(url: Any, **settings: Any) -> AppriseSink:
    given = sections.AppriseSink.model_validate({"url": url, "allow_networks": LOOPBACK, **settings})
    return AppriseSink(given, "sinks[0]", rendering(given, "sinks[0]"))


def service(receiver: Receiver, secret: str = "hunter2") -> str:
    return receiver.url.replace("http://", f"json://alice:{secret}@")


def deliver(url: Any, told: Any = None, **settings: Any) -> Attempt:
    return sink(url, **settings).deliver(entry_of("apprise", told or alert()), 1)


def test_what_people_get_is_a_title_and_the_summary() -> None:
    with Receiver() as receiver:
        for told in (alert(), risen(), ended(Reason.RECOVERED)):
            assert deliver(service(receiver), told)[:2] == (Outcome.DELIVERED, "ok")
        bodies = [json.loads(request.body) for request in receiver.requests]
    assert [(body["title"], body["type"]) for body in bodies] == [
        ("warning: metrics host-7", "warning"),
        ("critical: metrics host-7", "failure"),
        ("resolved: metrics host-7", "success"),
    ]
    assert bodies[0]["message"] == json.loads(entry_of("apprise", alert()).body)["summary"]


def test_a_title_names_a_fleet_rather_than_its_id() -> None:
    began = fleet_entry("apprise")
    document = json.loads(began.body) | {"labels": {"topic": "metrics", "fleet": "f" * 32}}
    over = document | {"status": "resolved", "fleet": None, "fleet_over": document["fleet"]}
    with Receiver() as receiver:
        to = sink(service(receiver))
        for told in (document, over):
            to.deliver(began._replace(body=json.dumps(told).encode()), 1)
        titles = [json.loads(request.body)["title"] for request in receiver.requests]
    assert titles == ["critical: fleet metrics", "resolved: fleet metrics"]


def test_a_template_makes_the_text() -> None:
    with Receiver() as receiver:
        deliver(service(receiver), template="{{ alerts[0].entity }} <is> {{ status }}")
        (request,) = receiver.requests
    assert json.loads(request.body)["message"] == "host-7 <is> firing"


def test_the_url_may_stand_in_a_file(tmp_path: Path) -> None:
    with Receiver() as receiver:
        (tmp_path / "url").write_text(service(receiver) + "\n")
        assert deliver({"file": tmp_path / "url"}).outcome is Outcome.DELIVERED


@pytest.mark.parametrize("url", ["hunter2", "nothing://hunter2", "json://", "json://a/hunter2, json://b/hunter2"])
def test_what_is_no_url_of_one_service_is_told_without_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^sinks\[0\]\.url: expected one URL as apprise has them") as told:
        sink(url)
    assert "hunter2" not in str(told.value)


@pytest.mark.parametrize("answer", [500, 401, 0])
def test_what_is_not_taken_is_tried_again(answer: int) -> None:
    with Receiver(answer) as receiver:
        assert deliver(service(receiver))[:2] == (Outcome.RETRY, "not_taken")


def test_a_service_that_says_nothing_is_left_after_the_timeout_and_asked_again_when_it_has_let_go() -> None:
    over = threading.Event()
    with Receiver(Answer(until=over)) as receiver:
        made = sink(service(receiver) + "?rto=30", timeout=0.2)
        entry = entry_of("apprise", alert())
        assert [made.deliver(entry, n)[:2] for n in (1, 2)] == [(Outcome.RETRY, "timeout")] * 2
        assert len(receiver.requests) == 1
        over.set()
        assert made._under_way is not None
        made._under_way.result(20)
        assert made.deliver(entry, 3).outcome is Outcome.DELIVERED


def test_a_host_inside_is_refused_unless_its_network_is_allowed() -> None:
    with Receiver() as receiver:
        attempt = deliver(service(receiver), allow_networks=[])
        assert attempt[:2] == (Outcome.RETRY, "not_allowed")
        assert attempt.detail.startswith("the host of the service leads to 127.0.0.1, which is not on the public inter")
        assert "hunter2" not in attempt.detail
        assert receiver.requests == []
    attempt = deliver("json://alice:hunter2@no.such.host.invalid/")
    assert attempt[:2] == (Outcome.RETRY, "connect")


def test_redirects_are_not_followed() -> None:
    with Receiver() as other, Receiver(Answer(302, headers={"location": other.url})) as receiver:
        assert deliver(service(receiver))[:2] == (Outcome.RETRY, "not_taken")
        assert (len(receiver.requests), other.requests) == (1, [])


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("mailto://u:p@example.com?smtp=10.0.0.1", ["10.0.0.1"]),
        ("gotify://gotify/abcdefghijklmno", ["gotify"]),
        ("form://[::1]:80/", ["::1"]),
        ("ntfy://my.host/topic", ["my.host"]),
        ("ntfy://topic", []),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", []),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", []),
    ],
)
def test_hosts_are_those_that_a_url_names_and_no_token_is(url: str, hosts: list[str]) -> None:
    assert _hosts(sink(url)._service[0]) == hosts


def test_nothing_secret_is_logged_or_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Receiver(500, 0) as receiver:
        told = [str(deliver(service(receiver))) for _ in range(3)]
        receiver.stop()
        told.append(str(deliver(service(receiver))))
    assert len(receiver.requests) == 3
    assert "hunter2" not in "".join(told) + caplog.text
