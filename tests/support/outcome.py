"""All that comes of a topic, to be compared between a daemon that was disturbed and one that was not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from detector.types import Partition
from tests.support.alert_schema import assert_alerts
from tests.support.broker import Cluster
from tests.support.daemon import Daemon, DaemonFactory
from tests.support.kafka_topic import read_all
from tests.support.load import Feed, state_of, undelivered, until_read
from tests.support.receiver import LOOPBACK, Receiver

Messages = dict[str, Any]
"""What was delivered, by id."""

SENSITIVE = {"false_alarm_rate": 0.05, "warm_up": 200}
"""Every twentieth event is anomalous: there are always alerts under way."""

BRIEF = {"resolve_after": "1s", "repeat_interval": "3s", "no_data_after": "10s"}
"""Incidents open, are updated and resolve all the time."""


class Outcome(NamedTuple):
    """What must be the same however often the daemon was disturbed (see `state_of`)."""

    states: dict[Partition, tuple[Any, ...]]
    webhooks: Messages
    alerts: Messages
    dead_letters: Messages


class Watched:
    """A daemon that sends its alerts to a receiver and to topics of its own. It is not started yet."""

    def __init__(self, new_daemon: DaemonFactory, feed: Feed, receiver: Receiver, **source: Any) -> None:
        self.feed, self.receiver = feed, receiver
        self.group = feed.cluster.topic_name("group")
        self.topics = [feed.cluster.create_topic(f"{self.group}-{stem}") for stem in ("alerts", "dead")]
        webhook = {"kind": "webhook", "direct": True, "url": "${DETECTOR_WEBHOOK_URL}", "allow_networks": LOOPBACK}
        sinks = [{"kind": "stdout"}, webhook, {"kind": "kafka", "topic": self.topics[0]}]
        self.settings = {"source": source, "sinks": sinks, "alerting": SENSITIVE, "incidents": BRIEF}
        self.environ = {"DETECTOR_GROUP": self.group, "DETECTOR_DEAD_LETTER_TOPIC": self.topics[1]}
        self.environ["DETECTOR_WEBHOOK_URL"] = receiver.url
        self.daemon: Daemon = new_daemon(feed.cluster, feed.topic, self.settings, **self.environ)

    def finish(self) -> Outcome:
        """Let the daemon read to the end, deliver everything and end; returns what came of it."""
        until_read(self.feed.cluster, self.group, self.feed.ends)
        self.daemon.until(lambda: undelivered(self.daemon.store) == 0, "all was delivered")
        assert self.daemon.terminate() == 0
        outcome = Outcome(
            state_of(self.daemon.store),
            _by_id((request.id, request.body) for request in self.receiver.requests),
            *(_by_id(_messages(self.feed.cluster, topic)) for topic in self.topics),
        )
        assert_alerts(outcome.webhooks.values())
        assert_alerts(value for _, value, _ in outcome.alerts.values())
        return outcome


def undisturbed(new_daemon: DaemonFactory, feed: Feed) -> Outcome:
    """Return what comes of a topic where nothing happens to the daemon."""
    with Receiver() as receiver:
        watched = Watched(new_daemon, feed, receiver)
        watched.daemon.start()
        return watched.finish()


def assert_same(found: Outcome, expected: Outcome) -> None:
    """Assert that nothing is different, lost, or there twice."""
    for partition, state in expected.states.items():
        assert found.states[partition] == state, f"another state of {partition}"
    assert found.webhooks == expected.webhooks
    assert found.alerts == expected.alerts
    assert found.dead_letters == expected.dead_letters
    assert len(expected.webhooks) > 50, "too few alerts for the test to mean much"
    assert len(expected.dead_letters) > 10


def _messages(cluster: Cluster, topic: str) -> Iterator[tuple[str, Any]]:
    for record in read_all(cluster.bootstrap, topic):
        headers = dict(record.headers)
        found: bytes = headers.get("id") or headers["detector.id"]
        yield found.decode(), (record.key, record.value, tuple(record.headers))


def _by_id(messages: Iterable[tuple[str, Any]]) -> Messages:
    """Return messages by id; one that came again must be the same as before."""
    found: Messages = {}
    for key, message in messages:
        assert found.setdefault(key, message) == message, f"{key} came with two contents"
    return found
