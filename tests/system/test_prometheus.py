"""What an operator looks at: a real Prometheus has data for every panel and rule, a real Alertmanager the incidents."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import yaml

from deploy.grafana.boards import BOARDS
from tests.support.alertmanager import alertmanager
from tests.support.broker import Cluster, free_port, wait_until
from tests.support.daemon import PATIENCE, DaemonFactory
from tests.support.load import Feed
from tests.support.prometheus import RULES, prometheus
from tests.support.receiver import LOOPBACK, Receiver

VARIABLES = {"$__rate_interval": "30s", "$instance": ".*", "$topic": ".*"}
PANELS = {
    f"{board.title}, {panel.title}, {query.legend}": query.expr
    for board in BOARDS
    for panel in board.panels
    for query in panel.queries
}
_RULES = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
RECORDED = [rule["record"] for rule in _RULES if "record" in rule]
ASKED = {name for rule in _RULES for name in re.findall(r"\bdetector_\w+", rule["expr"])}
"""What the rules ask for: an alert that is quiet has no data itself."""


def filled_in(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def test_every_panel_and_every_rule_has_data(broker: Cluster, new_daemon: DaemonFactory, tmp_path: Path) -> None:
    feed = Feed(broker, broker.create_topic())
    feed.write(400, faulty=0.002)
    with Receiver() as receiver:
        daemon = new_daemon(broker, feed.topic, DETECTOR_WEBHOOK_URL=receiver.url).start()
        url = daemon.until_said("listening")["url"]
        feed.write_fault()
        receiver.wait_for_count(1, PATIENCE)
        with prometheus(tmp_path / "prometheus", url.removeprefix("http://").rstrip("/")) as asked:
            empty: list[str] = []

            def nothing_empty() -> bool:
                feed.write(1)
                queries = PANELS | {name: name for name in (*RECORDED, *sorted(ASKED))}
                empty[:] = [name for name, expression in queries.items() if not asked.query(filled_in(expression))]
                return not empty

            try:
                wait_until(nothing_empty, "data for every panel", PATIENCE)
            except AssertionError as error:
                error.add_note(f"without data: {empty}")
                raise
            assert not asked.firing()


def test_a_fault_shows_in_alertmanager_and_rules_fire_and_resolve(
    broker: Cluster, new_daemon: DaemonFactory, tmp_path: Path
) -> None:
    feed, port = Feed(broker, broker.create_topic()), free_port()
    feed.write(400, faulty=0, rejected=0)
    with alertmanager(tmp_path / "alertmanager") as hub:
        sink = {"kind": "alertmanager", "url": hub.url, "allow_networks": LOOPBACK, "resend_interval": "2s"}
        daemon = new_daemon(broker, feed.topic, {"sinks": [sink]}, DETECTOR_HTTP_PORT=str(port)).start()
        where = hub.url.removeprefix("http://")
        daemon.until_said("listening")
        with prometheus(tmp_path / "prometheus", f"127.0.0.1:{port}", where) as asked:
            feed.write_fault()
            whose = ['alertname="DetectorAnomaly"', f'topic="{feed.topic}"', 'entity="host-0-0"']

            def states() -> list[str]:
                return [alert["status"]["state"] for alert in hub.alerts(*whose)]

            wait_until(lambda: states() == ["active"], "the incident to be in Alertmanager", PATIENCE)
            # It is sent again while it is open: by now it would have gone away by itself.
            first = hub.alerts(*whose)[0]["endsAt"]
            wait_until(lambda: hub.alerts(*whose)[0]["endsAt"] > first, "it to be sent again", PATIENCE)
            hub.amtool("silence", "add", *whose, "--comment=known", "--author=test")
            wait_until(lambda: states() == ["suppressed"], "it to be silenced", PATIENCE)
            assert "host-0-0" in hub.amtool("alert", "query", "--silenced", *whose)

            def over() -> bool:
                feed.write(3, faulty=0, rejected=0)
                return states() == []

            wait_until(over, "it to be resolved", PATIENCE)

            def told(rule: str) -> bool:
                return rule in asked.firing() and bool(hub.alerts(f'alertname="{rule}"', 'job="detector"'))

            def quiet(rule: str) -> bool:
                return rule not in asked.firing() and not hub.alerts(f'alertname="{rule}"')

            good = daemon.text_of_configuration
            daemon.text_of_configuration = "lgo: {}\n" + good
            daemon.send(signal.SIGHUP)
            wait_until(lambda: told("DetectorReloadFailed"), "the failed reload to be told of", PATIENCE)
            daemon.text_of_configuration = good
            daemon.send(signal.SIGHUP)
            wait_until(lambda: quiet("DetectorReloadFailed"), "the failed reload to be over", PATIENCE)
            daemon.kill()
            wait_until(lambda: told("DetectorDown"), "it to be told of that the daemon is down", PATIENCE)
            daemon.start()
            wait_until(lambda: quiet("DetectorDown"), "it to be told of that the daemon is back", PATIENCE)
            assert daemon.terminate() == 0
