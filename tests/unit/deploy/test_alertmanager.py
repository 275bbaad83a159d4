"""The shipped configuration of Alertmanager: valid, and a real one that runs with it does what is said of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from detector.alerts.alertmanager import AlertmanagerSink
from detector.alerts.alertmanager_format import fingerprint
from detector.config import sections
from detector.types import OutboxEntry, Outcome, Phase, Reason, Severity
from tests.support.alertmanager import SHIPPED, Alertmanager, alertmanager, amtool
from tests.support.alerts import absence, alert, ended, entry_of, fleet_entry, risen
from tests.support.broker import wait_until
from tests.support.receiver import LOOPBACK

WHOSE = {"alertname": "DetectorAnomaly", "topic": "metrics", "entity": "host-7"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    with alertmanager(tmp_path_factory.mktemp("alertmanager") / "run") as started:
        yield started


@pytest.fixture
def sink(running: Alertmanager) -> Iterator[AlertmanagerSink]:
    settings = sections.AlertmanagerSink.model_validate({"url": running.url, "allow_networks": LOOPBACK})
    made = AlertmanagerSink(settings, "sinks[0]")
    yield made
    made.close()


def post(sink: AlertmanagerSink, entry: OutboxEntry) -> None:
    attempt = sink.deliver(entry, 1)
    assert attempt.outcome is Outcome.DELIVERED, attempt


def test_the_shipped_configuration_is_valid() -> None:
    assert "SUCCESS" in amtool("check-config", str(SHIPPED))


def test_an_incident_appears_rises_and_resolves(running: Alertmanager, sink: AlertmanagerSink) -> None:
    post(sink, entry_of("alertmanager", alert()))
    wait_until(lambda: running.labels() == [WHOSE | {"severity": "warning"}], "the alert to be there")
    (shown,) = running.alerts()
    assert shown["annotations"]["summary"].startswith("host-7: cpu 97.1 (expected 31.2)")
    assert shown["fingerprint"] == fingerprint(shown["labels"])
    post(sink, entry_of("alertmanager", risen()))
    wait_until(lambda: running.labels() == [WHOSE | {"severity": "critical"}], "the critical one in its place")
    post(sink, entry_of("alertmanager", ended(Reason.RECOVERED, severity=Severity.CRITICAL)))
    wait_until(lambda: running.labels() == [], "it to be over")


def test_what_is_silenced_there_stays_known_there(running: Alertmanager, sink: AlertmanagerSink) -> None:
    silence = running.amtool("silence", "add", "entity=host-7", "--comment=test", "--author=test").strip()
    post(sink, entry_of("alertmanager", alert()))
    wait_until(lambda: [a["status"]["state"] for a in running.alerts()] == ["suppressed"], "it to be silenced")
    running.amtool("silence", "expire", silence)
    post(sink, entry_of("alertmanager", ended(Reason.RECOVERED)))
    wait_until(lambda: running.labels() == [], "it to be over")


def test_while_a_fleet_is_in_trouble_its_members_are_inhibited(running: Alertmanager, sink: AlertmanagerSink) -> None:
    post(sink, entry_of("alertmanager", alert()))
    post(sink, fleet_entry("alertmanager"))

    def states() -> dict[str, str]:
        return {each["labels"]["alertname"]: each["status"]["state"] for each in running.alerts()}

    wait_until(lambda: states() == {"DetectorAnomaly": "suppressed", "DetectorFleet": "active"}, "the inhibition")
    post(sink, fleet_entry("alertmanager", firing=False))
    wait_until(lambda: states() == {"DetectorAnomaly": "active"}, "the member to be told of again")
    post(sink, entry_of("alertmanager", ended(Reason.RECOVERED)))
    wait_until(lambda: running.labels() == [], "it to be over")


def test_an_absence_of_many_is_told_of_their_partition(running: Alertmanager, sink: AlertmanagerSink) -> None:
    post(sink, entry_of("alertmanager", absence("host-1", "host-2", count=2)))
    labels = {"alertname": "DetectorAbsence", "topic": "metrics", "partition": "3", "severity": "warning"}
    wait_until(lambda: running.labels() == [labels], "the absence to be there")
    (shown,) = running.alerts()
    assert shown["annotations"]["absent"] == "host-1, host-2"
    post(sink, entry_of("alertmanager", absence("host-1", "host-2", count=2, reason=Reason.RETURNED)))
    wait_until(lambda: running.labels() == [], "it to be over")


def test_many_incidents_are_there_after_few_requests_with_the_labels_of_their_events(
    running: Alertmanager, sink: AlertmanagerSink
) -> None:
    def deliver(**changes: Any) -> None:
        told = [replace(alert(entity=f"host-{n}"), labels={"site": f"s{n % 2}"}, **changes) for n in range(250)]
        entries = [(entry_of("alertmanager", each)._replace(id=f"{n:032x}-1"), 1) for n, each in enumerate(told)]
        for at in range(0, len(entries), sink.concurrency):
            attempts = sink.deliver_together(entries[at : at + sink.concurrency])
            assert {attempt.outcome for attempt in attempts} == {Outcome.DELIVERED}

    deliver()
    wait_until(lambda: len(running.labels()) == 250, "all to be there")
    assert len(running.labels('site="s1"')) == 125
    deliver(phase=Phase.RESOLVE, reason=Reason.RECOVERED)
    wait_until(lambda: running.labels() == [], "all to be over")


def test_with_collapse_nothing_is_left_of_what_an_incident_was_before(running: Alertmanager) -> None:
    given = {"url": running.url, "allow_networks": LOOPBACK, "collapse": True}
    sink = AlertmanagerSink(sections.AlertmanagerSink.model_validate(given), "sinks[0]")
    post(sink, entry_of("alertmanager", alert()))
    wait_until(lambda: running.labels() == [WHOSE | {"severity": "warning"}], "the alert to be there")
    post(sink, entry_of("alertmanager", ended(Reason.RECOVERED, severity=Severity.CRITICAL)))  # its rise was dropped
    wait_until(lambda: running.labels() == [], "it to be over")
    sink.close()
