"""What an operator looks at: a real Prometheus finds data for every panel and rule while the daemon runs."""

from __future__ import annotations

from pathlib import Path

import yaml

from deploy.grafana.boards import BOARDS
from tests.support.broker import Cluster, wait_until
from tests.support.daemon import PATIENCE, DaemonFactory
from tests.support.load import Feed
from tests.support.prometheus import RULES, prometheus
from tests.support.receiver import Receiver

VARIABLES = {"$__rate_interval": "30s", "$instance": ".*", "$topic": ".*"}
RECORDED = [
    rule["record"]
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
    if "record" in rule
]


def filled_in(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def test_every_panel_and_every_recording_rule_has_data(
    broker: Cluster, new_daemon: DaemonFactory, tmp_path: Path
) -> None:
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
                panels = {
                    f"{board.title}, {panel.title}": query.expr
                    for board in BOARDS
                    for panel in board.panels
                    for query in panel.queries
                }
                queries = panels | {record: record for record in RECORDED}
                empty[:] = [name for name, expression in queries.items() if not asked.query(filled_in(expression))]
                return not empty

            try:
                wait_until(nothing_empty, "data for every panel", PATIENCE)
            except AssertionError as error:
                error.add_note(f"without data: {empty}")
                raise
            assert not asked.firing()
