from __future__ import annotations

import json

import pytest

from detector.alerts import bodies
from detector.alerts.alertmanager_format import fingerprint
from detector.types import OutboxEntry, Reason
from tests.support.alerts import alert, ended, entry_of, fleet_entry

# The fields of Alertmanager's webhook, by its documentation ("version": "4") and its source (notify/webhook, template).
OUTER = {
    "version",
    "groupKey",
    "truncatedAlerts",
    "status",
    "receiver",
    "groupLabels",
    "commonLabels",
    "commonAnnotations",
    "externalURL",
    "alerts",
}
INNER = {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}
LABELS = {"alertname": "DetectorAnomaly", "topic": "metrics", "entity": "host-7", "severity": "warning"}


def test_the_detectors_own_body_is_what_the_outbox_holds() -> None:
    assert bodies.detector(entry_of("webhook", alert())) == entry_of("webhook", alert()).body


def test_an_alert_that_fires_is_what_alertmanager_would_post() -> None:
    body = json.loads(bodies.alertmanager(entry_of("webhook", alert()), "hook"))
    assert body.keys() == OUTER
    (one,) = body["alerts"]
    assert one.keys() == INNER
    assert (body["version"], body["receiver"], body["status"], body["truncatedAlerts"]) == ("4", "hook", "firing", 0)
    assert body["groupKey"] == '{}:{entity="host-7", topic="metrics"}'
    assert body["groupLabels"] == {"topic": "metrics", "entity": "host-7"}
    assert body["commonLabels"] == one["labels"] == LABELS
    assert body["commonAnnotations"] == one["annotations"]
    assert (one["status"], one["startsAt"], one["endsAt"]) == (
        "firing",
        "2026-11-23T06:05:22.250000Z",
        "0001-01-01T00:00:00Z",
    )
    assert one["fingerprint"] == fingerprint(LABELS)


def test_one_that_is_resolved_has_an_end() -> None:
    body = json.loads(bodies.alertmanager(entry_of("webhook", ended(Reason.RECOVERED)), "hook"))
    (one,) = body["alerts"]
    assert (body["status"], one["status"], one["endsAt"]) == ("resolved", "resolved", "2026-11-23T06:17:22.250000Z")


def test_a_fleet_is_one_alert() -> None:
    body = json.loads(bodies.alertmanager(fleet_entry("webhook"), "hook"))
    (one,) = body["alerts"]
    assert body.keys() == OUTER
    assert one.keys() == INNER
    assert one["labels"] == {"alertname": "DetectorFleet", "topic": "metrics", "severity": "critical"}
    assert (body["status"], body["truncatedAlerts"], one["startsAt"]) == ("firing", 30, "2026-11-23T06:04:22.250Z")


@pytest.mark.parametrize("phase", ["update", "resolve"])
def test_a_fleet_that_is_over_ends_and_what_is_left_of_it_is_told(phase: str) -> None:
    document = json.loads(fleet_entry("webhook").body)
    member = json.loads(entry_of("webhook", alert()).body) | {"phase": phase}
    status = "resolved" if phase == "resolve" else "firing"
    over = {"status": status, "alerts": [member], "fleet": None, "fleet_over": document["fleet"]}
    entry = OutboxEntry("x", "webhook", "notification", json.dumps(document | over).encode())
    *ended, left = json.loads(bodies.alertmanager(entry, "hook"))["alerts"]
    begun = json.loads(bodies.alertmanager(fleet_entry("webhook"), "hook"))["alerts"][0]
    assert begun["fingerprint"] in {one["fingerprint"] for one in ended}
    assert {(one["labels"]["alertname"], one["status"], one["endsAt"]) for one in ended} == {
        ("DetectorFleet", "resolved", document["time"])
    }
    assert (left["labels"], left["status"]) == (LABELS, status)


def test_several_incidents_are_several_alerts_and_what_they_share_is_said_once() -> None:
    members = [json.loads(entry_of("webhook", alert(n, entity=f"host-{n}")).body) for n in (1, 2)]
    document = {
        "schema": 1,
        "kind": "notification",
        "id": "x",
        "status": "firing",
        "severity": "warning",
        "summary": "2 incidents open: host-1, host-2",
        "labels": {"topic": "metrics"},
        "alerts": members,
        "left_out": 3,
        "fleet": None,
    }
    entry = OutboxEntry("x", "webhook", "notification", json.dumps(document).encode())
    body = json.loads(bodies.alertmanager(entry, "hook"))
    assert [one["labels"]["entity"] for one in body["alerts"]] == ["host-1", "host-2"]
    assert body["commonLabels"] == {"alertname": "DetectorAnomaly", "topic": "metrics", "severity": "warning"}
    assert (body["groupKey"], body["groupLabels"], body["truncatedAlerts"]) == (
        '{}:{topic="metrics"}',
        {"topic": "metrics"},
        3,
    )
    summaries = [member["summary"] for member in members]
    assert bodies.text(entry).decode().splitlines() == [document["summary"], "", *summaries, "... and 3 more"]


def test_another_attempt_makes_the_same_bytes() -> None:
    entry = entry_of("webhook", alert())
    assert bodies.alertmanager(entry, "hook") == bodies.alertmanager(entry, "hook")


def test_the_fingerprint_is_alertmanagers_own() -> None:
    # From prometheus/common, model/labelset_test.go and fnv: the empty set is FNV-1a's offset.
    assert fingerprint({}) == "cbf29ce484222325"


def test_a_text_for_people_is_the_summary() -> None:
    entry = entry_of("chat", alert())
    assert bodies.text(entry).decode() == json.loads(entry.body)["summary"]
