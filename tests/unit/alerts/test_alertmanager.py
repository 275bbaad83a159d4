from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from detector.alerts.alertmanager import AlertmanagerSink
from detector.config import sections
from detector.errors import ConfigError
from detector.types import Alert, Attempt, OutboxEntry, Outcome, Reason, Severity
from tests.support.alerts import alert, ended, entry_of, fleet_entry, risen
from tests.support.receiver import LOOPBACK, Answer, Receiver, Request

NOW = alert().time + 30.0
LABELS = {"alertname": "DetectorAnomaly", "topic": "metrics", "entity": "host-7"}


def deliver(url: str, entry: OutboxEntry, now: float = NOW, **settings: Any) -> Attempt:
    given = sections.AlertmanagerSink.model_validate({"url": url, "allow_networks": LOOPBACK, **settings})
    sink = AlertmanagerSink(given, "sinks[0]", lambda: now)
    try:
        return sink.deliver(entry, 1)
    finally:
        sink.close()


def posted(told: Alert, **settings: Any) -> list[dict[str, Any]]:
    with Receiver() as receiver:
        assert deliver(receiver.url, entry_of("alertmanager", told), **settings).outcome is Outcome.DELIVERED
        (request,) = receiver.requests
    assert request.path == "/alerts/api/v2/alerts"
    alerts: list[dict[str, Any]] = json.loads(request.body)
    return alerts


def times(posted: dict[str, Any]) -> tuple[float, float]:
    start, end = (datetime.fromisoformat(posted[name]).timestamp() for name in ("startsAt", "endsAt"))
    return start, end


def test_what_fires_ends_four_intervals_ahead() -> None:
    (one,) = posted(alert(), resend_interval="30s")
    assert one["labels"] == LABELS | {"severity": "warning"}
    assert times(one) == (alert().time, NOW + 120.0)


def test_labels_of_the_event_are_labels_of_the_alert_but_empty_ones() -> None:
    (one,) = posted(replace(alert(), labels={"site": "ams", "rack": ""}))
    assert one["labels"] == LABELS | {"severity": "warning", "site": "ams"}


def test_sent_again_it_ends_later() -> None:
    again = entry_of("alertmanager", alert())._replace(id=alert().id + "-again", kind="resend")
    with Receiver() as receiver:
        deliver(receiver.url, again, now=NOW + 300.0)
        (one,) = json.loads(receiver.requests[0].body)
    assert times(one) == (alert().time, NOW + 300.0 + 240.0)


def test_sent_again_it_does_not_resolve_again_what_it_was_before() -> None:
    again = entry_of("alertmanager", risen())._replace(kind="resend")
    with Receiver() as receiver:
        deliver(receiver.url, again)
        (one,) = json.loads(receiver.requests[0].body)
    assert one["labels"] == LABELS | {"severity": "critical"}


def test_a_fleet_is_an_alert_of_its_own() -> None:
    with Receiver() as receiver:
        for firing in (True, False):
            deliver(receiver.url, fleet_entry("alertmanager", firing=firing))
        (begun, begun_other), (over, over_other) = (json.loads(request.body) for request in receiver.requests)
    assert (
        begun["labels"] == {"alertname": "DetectorFleet", "topic": "metrics", "severity": "critical"} == over["labels"]
    )
    assert (times(begun)[1], times(over)[1]) == (NOW + 240.0, NOW)
    for other in (begun_other, over_other):
        assert other["labels"] == begun["labels"] | {"severity": "warning"}, "what it was before is over"
        assert times(other)[1] == NOW
    assert begun["annotations"] == {
        "summary": "fleet metrics: 30 of 40 entities (75 %) have an open incident at once: host-0, host-1, ...",
        "incident": "f" * 32,
        "share": "0.75",
        "affected": "30",
        "entities": "host-0, host-1, and 28 more",
    }


def test_what_is_resolved_ends_now() -> None:
    (one,) = posted(ended(Reason.RECOVERED), now=NOW + 720.0)
    assert one["labels"] == LABELS | {"severity": "warning"}
    assert times(one) == (alert().time, NOW + 720.0)


def test_when_the_severity_rises_the_old_labels_are_resolved_in_the_same_post() -> None:
    new, old = posted(risen())
    assert new["labels"] == LABELS | {"severity": "critical"}
    assert times(new) == (alert().time, NOW + 240.0)
    assert old["labels"] == LABELS | {"severity": "warning"}
    assert times(old) == (alert().time, NOW)


@pytest.mark.parametrize(
    "told",
    [
        alert(severity=Severity.CRITICAL),
        risen(reason=Reason.REPEAT),
        ended(Reason.RECOVERED, severity=Severity.CRITICAL),
    ],
    ids=["open", "repeat", "resolve"],
)
def test_nothing_else_is_resolved_beside_it(told: Alert) -> None:
    (one,) = posted(told)
    assert one["labels"]["severity"] == "critical"


def test_where_messages_may_be_dropped_each_one_resolves_what_the_incident_was_before() -> None:
    for told, now in ((risen(reason=Reason.REPEAT), NOW), (ended(Reason.RECOVERED, severity=Severity.CRITICAL), NOW)):
        _, old = posted(told, now=now, collapse=True)
        assert old["labels"] == LABELS | {"severity": "warning"}
        assert times(old)[1] == now
    assert len(posted(alert(severity=Severity.CRITICAL), collapse=True)) == 1


def many(receiver: Receiver, entries: list[OutboxEntry], **settings: Any) -> list[Attempt]:
    """Deliver entries as the line of the sink does, as many at once as it takes."""
    settings |= {"url": receiver.url, "allow_networks": LOOPBACK}
    sink = AlertmanagerSink(sections.AlertmanagerSink.model_validate(settings), "sinks[0]", lambda: NOW)
    try:
        most = sink.concurrency
        pieces = [entries[at : at + most] for at in range(0, len(entries), most)]
        return [tried for piece in pieces for tried in sink.deliver_together([(entry, 1) for entry in piece])]
    finally:
        sink.close()


def reminders(count: int) -> list[OutboxEntry]:
    alerts = [replace(alert(entity=f"host-{n}"), id=f"{n:032x}-1") for n in range(count)]
    return [entry_of("alertmanager", each)._replace(kind="resend") for each in alerts]


def entities(request: Request) -> list[str]:
    return [posted["labels"]["entity"] for posted in json.loads(request.body)]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_many_go_out_in_one_post_each_once_and_in_order(concurrency: int) -> None:
    with Receiver() as receiver:
        attempts = many(receiver, reminders(1050), concurrency=concurrency)
        found = sorted((entities(request) for request in receiver.requests), key=lambda names: int(names[0][5:]))
    assert {attempt.outcome for attempt in attempts} == {Outcome.DELIVERED}
    assert len(attempts) == 1050
    assert [len(names) for names in found] == [100] * 10 + [50]
    assert [name for names in found for name in names] == [f"host-{n}" for n in range(1050)]


def test_a_post_is_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.alerts.alertmanager._MOST_BYTES", 2000)
    with Receiver() as receiver:
        many(receiver, reminders(10))
        assert max(len(request.body) for request in receiver.requests) < 2100
        assert [name for request in receiver.requests for name in entities(request)] == [f"host-{n}" for n in range(10)]


def test_what_is_refused_together_is_told_apart() -> None:
    with Receiver(400, 200, 400, 200) as receiver:
        attempts = many(receiver, reminders(3))
        assert [len(entities(request)) for request in receiver.requests] == [3, 1, 1, 1]
    assert [attempt.outcome for attempt in attempts] == [Outcome.DELIVERED, Outcome.REFUSED, Outcome.DELIVERED]


def test_of_what_is_refused_together_the_rest_is_left_where_the_receiver_goes_down() -> None:
    with Receiver(400, 200, 503) as receiver:
        attempts = many(receiver, reminders(5))
        assert len(receiver.requests) == 3
    assert [attempt.outcome for attempt in attempts] == [Outcome.DELIVERED] + [Outcome.RETRY] * 4


def test_what_a_receiver_that_is_down_misses_together_is_tried_again_together() -> None:
    with Receiver(503) as receiver:
        attempts = many(receiver, reminders(3))
        assert len(receiver.requests) == 1
    assert [attempt.outcome for attempt in attempts] == [Outcome.RETRY] * 3


def test_an_event_time_ahead_of_the_clock_starts_now() -> None:
    (one,) = posted(ended(Reason.RECOVERED), now=alert().time - 1000.0)
    assert times(one) == (alert().time - 1000.0, alert().time - 1000.0)


def test_values_stand_in_annotations() -> None:
    (one,) = posted(alert())
    assert one["annotations"] == {
        "summary": json.loads(entry_of("x", alert()).body)["summary"],
        "incident": alert().incident.id,
        "position": "metrics/3/17",
        "events": "1",
        "duration_seconds": "0",
        "peak_score": "4.0",
        "peak_rate": "1 in 10,000",
        "score": "4.0",
        "rate": "1 in 10,000",
        "features": "cpu 97.1 (expected 31.2), 83 % of the distance; load 3.5 (expected 1.25), 17 % of the distance",
    }


def test_without_an_entity_the_partition_tells_incidents_apart() -> None:
    (one,) = posted(alert(entity=None))
    assert one["labels"] == {
        "alertname": "DetectorAnomaly",
        "topic": "metrics",
        "partition": "3",
        "severity": "warning",
    }


def asked_with(**settings: Any) -> Request:
    with Receiver() as receiver:
        deliver(receiver.url, entry_of("alertmanager", alert()), **settings)
        return receiver.requests[0]


def test_it_logs_in_as_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    basic = asked_with(username="alice", password="a:b").headers["authorization"]
    assert basic == "Basic " + base64.b64encode(b"alice:a:b").decode()
    assert asked_with(token={"file": tmp_path / "token"}).headers["authorization"] == "Bearer hunter2"
    assert asked_with(headers={"X-Scope-OrgID": "team"}).headers["x-scope-orgid"] == "team"
    assert "authorization" not in asked_with().headers


@pytest.mark.parametrize(
    "settings",
    [
        {"username": "alice"},
        {"password": "hunter2"},
        {"username": "alice", "password": "hunter2", "token": "hunter2"},
        {"token": "hunter2", "headers": {"Authorization": "hunter2"}},
    ],
    ids=["user alone", "password alone", "both ways", "token and header"],
)
def test_half_an_identity_or_two_are_no_configuration(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="give `username` and `password`") as told:
        sections.AlertmanagerSink.model_validate({"url": "http://127.0.0.1:9", **settings})
    assert "hunter2" not in "".join(error["msg"] for error in told.value.errors())


@pytest.mark.parametrize("end", ["", "/", "/api/v2", "/api/v2/", "/api/v2/alerts"])
def test_its_url_may_end_in_the_path_of_the_api(end: str) -> None:
    with Receiver() as receiver:
        deliver(f"{receiver.url}{end}", entry_of("alertmanager", alert()))
        assert receiver.requests[0].path == "/alerts/api/v2/alerts"


def test_what_cannot_be_used_is_told_at_start() -> None:
    with pytest.raises(ConfigError, match=r"^sinks\[0\]\.token\.file: /no/such/file"):
        asked_with(token={"file": "/no/such/file"})


def test_a_receiver_that_leads_inside_is_not_connected_to() -> None:
    with Receiver() as receiver:
        attempt = deliver(receiver.url, entry_of("alertmanager", alert()), allow_networks=[])
        assert receiver.requests == []
    assert (attempt.outcome, attempt.code) == (Outcome.RETRY, "not_allowed")


def test_what_it_refuses_is_told_with_its_words() -> None:
    with Receiver(Answer(400, body=b"bad token hunter2")) as receiver:
        attempt = deliver(receiver.url, entry_of("alertmanager", alert()), token="hunter2")
    assert (attempt.outcome, attempt.code) == (Outcome.REFUSED, "400")
    assert attempt.detail.endswith("answered 400: bad token (not shown)")
