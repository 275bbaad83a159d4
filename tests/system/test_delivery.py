"""What goes out: alerts across an outage of their receiver, dead letters, and no secret anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.support.alerts import SECRET
from tests.support.broker import Cluster
from tests.support.daemon import Daemon, DaemonFactory
from tests.support.fixtures import BrokerFactory
from tests.support.kafka_topic import read_all
from tests.support.load import Feed, undelivered, until_read
from tests.support.receiver import LOOPBACK, Answer, Receiver

PASSWORD = "open-sesame-47110815"


@pytest.mark.parametrize("outage", ["refused", "timeout"])
def test_alerts_wait_for_their_receiver(broker: Cluster, new_daemon: DaemonFactory, outage: str) -> None:
    feed = Feed(broker, broker.create_topic())
    feed.write(600)
    over = Event()
    with Receiver(otherwise=Answer(until=over)) as receiver:
        webhook = {"kind": "webhook", "direct": True, "url": receiver.url, "secrets": [SECRET], "timeout": "1s"}
        webhook["allow_networks"] = LOOPBACK
        if outage == "refused":
            receiver.stop()
        sinks = {"sinks": [{"kind": "stdout"}, webhook]}
        daemon = new_daemon(broker, feed.topic, sinks, DETECTOR_GROUP=feed.topic).start()
        daemon.until_said("receiver_down", sink="webhook", code=outage)
        raised = all_raised(daemon, feed)
        over.set()
        if outage == "refused":
            receiver.start()
        daemon.until(lambda: undelivered(daemon.store) == 0, "all was delivered")
        assert daemon.said("receiver_back", sink="webhook")
        for request in receiver.requests:
            request.verify(SECRET)
        # By the last arrival of each: a receiver that hangs is tried with those of several incidents.
        last = {request.id: request for request in reversed(receiver.requests)}
        received = {id_: json.loads(request.body) for id_, request in reversed(last.items())}
        assert list(received.items()) == [(alert["id"], alert) for alert in raised], "once back, in their order"
        assert daemon.terminate() == 0


def all_raised(daemon: Daemon, feed: Feed) -> list[dict[str, Any]]:
    """Wait until everything is read, and told on standard output, while the receiver has taken nothing."""
    until_read(feed.cluster, feed.topic, feed.ends)
    daemon.until(lambda: undelivered(daemon.store, "stdout") == 0, "standard output had all")
    waiting = undelivered(daemon.store, "webhook")
    daemon.until(lambda: daemon.metrics()['detector_outbox_alerts{sink="webhook"}'] == waiting, "it told what waits")
    daemon.until(lambda: len(daemon.output) == waiting, "standard output was read")
    assert not daemon.blocked(), "a receiver that is away is no reason to stop reading"
    assert waiting > 5
    alerts = [json.loads(line) for line in daemon.output]
    assert alerts == sorted(alerts, key=lambda alert: int(alert["offset"]))
    return alerts


def test_bad_bytes_are_set_aside_and_the_stream_goes_on(broker: Cluster, new_daemon: DaemonFactory) -> None:
    feed, dead = Feed(broker, broker.create_topic()), broker.create_topic()
    feed.write(300, rejected=0)
    where, bad = next(iter(feed.ends)), feed.ends.copy()
    rows = json.loads(b'[{"host": "a", "timestamp": 1}, 7]')
    values = [b"\x00\xff not json", json.dumps(rows).encode(), b""]
    broker.produce(feed.topic, values, partition=0, key=b"\xfe", headers=[("trace", b"\x01")])
    feed.ends[where] += len(values)
    feed.write(100, rejected=0)
    daemon = new_daemon(broker, feed.topic, DETECTOR_GROUP=feed.topic, DETECTOR_DEAD_LETTER_TOPIC=dead).start()
    until_read(broker, feed.topic, feed.ends)
    daemon.until(lambda: len(read_all(broker.bootstrap, dead)) == len(values), "dead letters were delivered")
    metrics = daemon.metrics()
    assert metrics["detector_events_consumed_total"] == feed.ends[where] - len(values)
    assert metrics["detector_dead_letters_total"] == len(values)
    assert sum(v for k, v in metrics.items() if k.startswith("detector_events_rejected_total{")) == 4
    for record, value, number in zip(read_all(broker.bootstrap, dead), values, range(3), strict=True):
        headers = dict(record.headers)
        assert (record.key, record.value, headers["trace"]) == (b"\xfe", value, b"\x01")
        assert headers["detector.topic"] == feed.topic.encode()
        assert headers["detector.partition"] == b"0"
        assert headers["detector.offset"] == str(bad[where] + number).encode()
        assert headers["detector.reason"]
    assert daemon.terminate() == 0


def test_no_secret_is_told(new_broker: BrokerFactory, new_daemon: DaemonFactory, tmp_path: Path) -> None:
    module = "org.apache.kafka.common.security.plain.PlainLoginModule"
    jaas = f'{module} required user_alice="{PASSWORD}";'
    settings = {"sasl.enabled.mechanisms": "PLAIN", "listener.name.sasl.plain.sasl.jaas.config": jaas}
    broker = new_broker(listeners={"SASL": "SASL_PLAINTEXT"}, settings=settings)
    feed = Feed(broker, broker.create_topic())
    feed.write(300)
    token = tmp_path / "token"
    token.write_text(f"Bearer {PASSWORD}\n")
    with Receiver(401, 500, 204) as receiver:
        url = receiver.url.replace("http://", f"http://alice:{PASSWORD}@")
        webhook = {
            "kind": "webhook",
            "direct": True,
            "url": url,
            "secrets": [SECRET],
            "headers": {"X-Key": {"file": str(token)}},
        }
        webhook["allow_networks"] = LOOPBACK
        sasl = {"mechanism": "PLAIN", "username": "alice", "password": {"value": f"{PASSWORD}-wrong"}}
        daemon = new_daemon(
            broker,
            feed.topic,
            {"kafka": {"sasl": sasl}, "sinks": [{"kind": "stdout"}, webhook], "log": {"level": "debug"}},
            DETECTOR_GROUP=feed.topic,
            KAFKA_BOOTSTRAP_SERVERS=f"127.0.0.1:{broker.port('SASL')}",
        )
        daemon.start().until(lambda: "user 'alice'" in daemon.blocked().get("source", ""), "it told of the login")
        told = everything_told(daemon)
        daemon.kill()
        daemon.configure({"kafka": {"sasl": sasl | {"password": {"value": PASSWORD}}}})
        daemon.start()
        until_read(broker, feed.topic, feed.ends)
        daemon.until(lambda: undelivered(daemon.store) == 0, "all was delivered or refused")
        told += everything_told(daemon)
        assert daemon.terminate() == 0
        told += daemon.text
        assert receiver.requests[0].headers["x-key"] == f"Bearer {PASSWORD}", "or there was no secret to tell"
    told += state_shown(daemon)
    assert "alice" in told, "what is no secret is told"
    assert PASSWORD not in told
    assert SECRET.removeprefix("whsec_") not in told
    kept = b"".join(file.read_bytes() for file in daemon.store.rglob("*") if file.is_file())
    assert PASSWORD.encode() not in kept


def everything_told(daemon: Daemon) -> str:
    return "".join([daemon.text, *daemon.output, *(daemon.get(path).text for path in ("", "metrics", "readyz"))])


def state_shown(daemon: Daemon) -> str:
    command = [sys.executable, "-m", "detector", "state", "show", "--store", str(daemon.store)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
