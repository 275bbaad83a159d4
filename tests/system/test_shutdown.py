"""SIGTERM ends the daemon in order, whatever it is waiting for."""

from __future__ import annotations

import json
import signal
from threading import Event

from detector.types import Position
from tests.support.broker import Cluster
from tests.support.daemon import PATIENCE, Daemon, DaemonFactory
from tests.support.fixtures import BrokerFactory
from tests.support.load import Feed, committed, state_of, undelivered
from tests.support.receiver import Answer, Receiver

WITHIN = 10.0
"""Seconds that the daemon may take: what it promises, and a process manager's usual patience."""
CONSUMED = "detector_events_consumed_total"


def until_scored(daemon: Daemon, events: int) -> None:
    daemon.until(lambda: daemon.metrics().get(CONSUMED) == events, f"it had scored {events} events")


def test_the_daemon_drains_saves_and_exits_zero(broker: Cluster, new_daemon: DaemonFactory) -> None:
    feed = Feed(broker, broker.create_topic())
    feed.write(300, faulty=0, rejected=0)
    held = Event()
    with Receiver(Answer(until=held)) as receiver:
        rarely = {"checkpoint": {"interval": "1h"}}
        daemon = new_daemon(broker, feed.topic, rarely, DETECTOR_WEBHOOK_URL=receiver.url, DETECTOR_GROUP=feed.topic)
        until_scored(daemon.start(), sum(feed.ends.values()))
        feed.write_fault()
        until_scored(daemon, sum(feed.ends.values()))
        daemon.send(signal.SIGTERM)
        daemon.until_said("stopping")
        held.set()
        assert daemon.wait(WITHIN) == 0
        delivered = {request.id for request in receiver.requests}
    assert daemon.said("stopping", reason="signal")
    assert daemon.log[-1]["message"] == "stopped"
    for partition, (checkpoint, *_) in state_of(daemon.store).items():
        assert checkpoint.position == Position(feed.ends[partition])
    with committed(broker, feed.topic) as offsets:
        assert offsets() == feed.ends
    assert undelivered(daemon.store) == 0
    alerts = [json.loads(line) for line in daemon.output]
    assert feed.ends.keys() == state_of(daemon.store).keys()
    assert alerts[-1]["offset"] == max(feed.ends.values()) - 1, "the last event was out of the ordinary"
    assert {alert["id"] for alert in alerts} == delivered


def test_a_receiver_that_never_answers_holds_up_nothing(broker: Cluster, new_daemon: DaemonFactory) -> None:
    feed = Feed(broker, broker.create_topic())
    feed.write(300)
    hangs = Event()
    with Receiver(otherwise=Answer(until=hangs)) as receiver:
        daemon = new_daemon(broker, feed.topic, DETECTOR_WEBHOOK_URL=receiver.url)
        daemon.start()
        feed.write_fault()
        receiver.wait_for_count(1, 60)
        daemon.send(signal.SIGTERM)
        daemon.until_said("stopping")
        daemon.send(signal.SIGTERM)
        assert daemon.wait(WITHIN) == 128 + signal.SIGTERM, "the second signal ends it at once"
        waiting = undelivered(daemon.store)
        assert waiting

        daemon.start().until_said("partition_assigned")
        receiver.wait_for_count(2, 60)
        daemon.send(signal.SIGTERM)
        assert daemon.wait(WITHIN) == 0
        assert undelivered(daemon.store) >= waiting
        hangs.set()


def test_neither_broker_nor_receiver_is_waited_for_long(new_broker: BrokerFactory, new_daemon: DaemonFactory) -> None:
    broker = new_broker()
    feed = Feed(broker, broker.create_topic(partitions=8), partitions=8)
    feed.write(300, faulty=0)
    feed.write_fault()
    hangs = Event()
    with Receiver(otherwise=Answer(until=hangs)) as receiver:
        daemon = new_daemon(broker, feed.topic, DETECTOR_WEBHOOK_URL=receiver.url)
        daemon.start()
        receiver.wait_for_count(1, PATIENCE)
        broker.freeze()
        daemon.send(signal.SIGTERM)
        assert daemon.wait(WITHIN) == 0
        broker.thaw()
        daemon.start()
        receiver.wait_for_count(2, PATIENCE)
        broker.kill()
        daemon.until_blocked("source")
        daemon.send(signal.SIGTERM)
        assert daemon.wait(WITHIN) == 0
        hangs.set()
