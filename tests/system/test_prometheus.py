"""What an operator looks at, on the real thing: a fleet that breaks, a real Prometheus, a real Alertmanager."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from deploy.grafana.boards import BOARDS, NEW_VERSION
from detector.control.asking import ask
from tests.support.alertmanager import Alertmanager, alertmanager
from tests.support.broker import Cluster, wait_until
from tests.support.daemon import PATIENCE, Daemon, DaemonFactory
from tests.support.fleet import Fleet, fleet
from tests.support.kafka_topic import end_of
from tests.support.prometheus import Prometheus, prometheus
from tests.support.receiver import LOOPBACK
from tests.support.rules import shipped

FILLED_IN = {"$__rate_interval": "30s", "$instance": ".*", "$topic": ".*", "offset 5m": "offset 15s"}
"""Grafana's variables; and the test has not run for five minutes when a new version comes into force."""
PANELS = {
    f"{board.title}, {panel.title}, {query.legend}": query.expr
    for board in BOARDS
    for panel in board.panels
    for query in panel.queries
}
RECORDED = {
    rule["record"]: rule["record"] for group in shipped()["groups"] for rule in group["rules"] if "record" in rule
}
ASKED = {**PANELS, **RECORDED, "the marks of new versions": NEW_VERSION}
"""All that is to have data: every query of every panel, every recording rule. (test_alert_rules: the alert rules.)"""

BROKEN = "host-15"
"""With this seed the memory of this host is the first to break: after two hours, for five; 30 samples are a second."""
FLEET: dict[str, Any] = {"seed": 32, "hosts": 16, "speed": 1800}
QUICK_REFIT = {"algorithm": "kmeans", "kmeans": {"k": 4}, "window": {"least": 100}, "shadow_blocks": 36}
"""A candidate is decided upon after 36 blocks of 64 rows, or four of each host."""


def test_a_fault_of_a_fleet_is_told_of_silenced_and_over_and_every_panel_has_data(
    broker: Cluster, new_daemon: DaemonFactory, tmp_path: Path
) -> None:
    topic = broker.create_topic()
    with alertmanager(tmp_path / "alertmanager") as hub:
        sink = {"kind": "alertmanager", "url": hub.url, "allow_networks": LOOPBACK, "resend_interval": "2s"}
        alerting = {"false_alarm_rate": 0.001, "warm_up": 200}
        incidents = {"resolve_after": "5s"}
        settings = {"sinks": [sink], "refit": QUICK_REFIT, "alerting": alerting, "incidents": incidents}
        daemon = new_daemon(broker, topic, settings).start()
        where = daemon.url.removeprefix("http://").rstrip("/"), hub.url.removeprefix("http://")
        with (
            prometheus(tmp_path / "prometheus", *where) as asked,
            fleet(broker, topic, tmp_path / "fleet.log", **FLEET) as hosts,
        ):
            incident = fault_is_told_of(hosts, hub, partial(end_of, broker.bootstrap, topic), topic)
            ask(daemon.store, "feedback give", {"incident": incident, "verdict": "fault", "by": "test"})
            assert daemon.metrics()['detector_feedback_total{verdict="fault"}'] == 1
            candidate_is_adopted(daemon)
            everything_has_data(asked)
            assert not asked.firing()
            assert daemon.terminate() == 0


def fault_is_told_of(hosts: Fleet, hub: Alertmanager, written: Callable[[], int], topic: str) -> str:
    """See the incident in Alertmanager, silence it there, and see it resolved; returns its id."""
    whose = ['alertname="DetectorAnomaly"', f'topic="{topic}"', f'entity="{BROKEN}"']

    def states() -> list[str]:
        return [alert["status"]["state"] for alert in hub.alerts(*whose)]

    wait_until(lambda: f"{BROKEN}: level shift of memory" in hosts.said, "the host to break", PATIENCE)
    enough = written() + 40 * FLEET["hosts"]
    wait_until(lambda: written() >= enough, "that to show", PATIENCE)
    hosts.hold()  # by event time the incident stays as it is meanwhile, however long all this takes
    wait_until(lambda: states() == ["active"], "the incident to be in Alertmanager", PATIENCE)
    # It is sent again while it is open: by now it would have gone away by itself.
    (first,) = hub.alerts(*whose)
    wait_until(lambda: hub.alerts(*whose)[0]["endsAt"] > first["endsAt"], "it to be sent again", PATIENCE)
    hub.amtool("silence", "add", *whose, "--comment=known", "--author=test")
    wait_until(lambda: states() == ["suppressed"], "it to be silenced", PATIENCE)
    assert BROKEN in hub.amtool("alert", "query", "--silenced", *whose)
    hosts.go_on()
    wait_until(lambda: states() == [], "it to be resolved", PATIENCE)
    incident: str = first["annotations"]["incident"]
    return incident


def candidate_is_adopted(daemon: Daemon) -> None:
    """Refit on demand until a candidate is better than the model."""
    adopted, decided = 'detector_refits_total{result="adopted"}', "decision"

    def asked_for() -> bool:
        before = len(daemon.said(decided))
        ask(daemon.store, "refit")
        daemon.until_said(decided, before + 1)
        return daemon.metrics()[adopted] == 1

    daemon.until(asked_for, "a candidate is adopted")


def everything_has_data(asked: Prometheus) -> None:
    """Ask for everything until it has been seen to have a value, and not just the lack of one."""
    empty = dict(ASKED)

    def nothing_empty() -> bool:
        for name, expression in list(empty.items()):
            series = asked.query(filled_in(expression))
            if any(not math.isnan(float(each["value"][1])) for each in series):
                del empty[name]
        return not empty

    try:
        wait_until(nothing_empty, "data for every panel", PATIENCE)
    except AssertionError as error:
        error.add_note(f"without data: {sorted(empty)}")
        raise


def filled_in(expression: str) -> str:
    for name, value in FILLED_IN.items():
        expression = expression.replace(name, value)
    return expression
