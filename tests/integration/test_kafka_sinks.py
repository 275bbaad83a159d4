"""The ways out to Kafka on a real broker: what arrives, and what a failure does to the other records."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from detector.alerts.kafka import KafkaSink, alert_message, dead_letter_message
from detector.config import sections
from detector.types import Outcome
from tests.support.alerts import alert, dead_letter, dead_letter_entry, entry
from tests.support.broker import Broker, Cluster
from tests.support.kafka_topic import read_all

MakeSink = Callable[..., KafkaSink]


@pytest.fixture
def make() -> Iterator[MakeSink]:
    made: list[KafkaSink] = []

    def sink(cluster: Cluster, topic: str, message: Any = dead_letter_message, timeout: float = 10.0) -> KafkaSink:
        kafka = sections.Kafka(bootstrap_servers=[cluster.bootstrap], request_timeout=timeout)
        made.append(KafkaSink("out", topic, kafka, message))
        return made[-1]

    yield sink
    for each in made:
        each.close()


def headers(record: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers if name.startswith("detector.") or name == "id"}


def test_a_dead_letter_is_the_record_with_its_reasons(broker: Cluster, make: MakeSink) -> None:
    topic = broker.create_topic()
    sent = dead_letter_entry()
    assert make(broker, topic).deliver(sent, 1).outcome is Outcome.DELIVERED
    (record,) = read_all(broker.bootstrap, topic)
    original = dead_letter()
    assert (record.key, record.value) == (original.key, original.value)
    assert record.headers[:2] == list(original.headers)
    assert headers(record) == {
        "detector.id": sent.id,
        "detector.reason": "not_finite,not_a_number",
        "detector.topic": "metrics",
        "detector.partition": "3",
        "detector.offset": "4",
        "detector.timestamp": "1795413922250",
        "detector.rows": "0-2,7",
        "detector.detail": "cpu: expected a finite number",
    }


@pytest.mark.parametrize(("key", "value", "arrives"), [(b"k", None, None), (None, None, b""), (None, b"v", b"v")])
def test_a_dead_letter_may_lack_key_or_value(
    broker: Cluster, make: MakeSink, key: bytes | None, value: bytes | None, arrives: bytes | None
) -> None:
    topic = broker.create_topic()
    assert make(broker, topic).deliver(dead_letter_entry(key=key, value=value), 1).outcome is Outcome.DELIVERED
    (record,) = read_all(broker.bootstrap, topic)
    assert (record.key, record.value) == (key, arrives)


def test_a_header_of_a_dead_letter_may_lack_its_value(broker: Cluster, make: MakeSink) -> None:
    topic = broker.create_topic()
    sent = dead_letter_entry(headers=(("none", None), ("some", b"x")))
    assert make(broker, topic).deliver(sent, 1).outcome is Outcome.DELIVERED
    (record,) = read_all(broker.bootstrap, topic)
    assert record.headers[:2] == [("none", b""), ("some", b"x")]


def test_an_alert_is_keyed_by_entity_or_else_by_partition(broker: Cluster, make: MakeSink) -> None:
    topic = broker.create_topic()
    sink = make(broker, topic, alert_message)
    sink.deliver_all([(entry("out", 1), 1), (entry("out", 2, entity=None), 1)])
    first, second = read_all(broker.bootstrap, topic)
    assert (first.key, second.key) == (b"host-7", b"metrics/3")
    made = alert(1)
    assert dict(first.headers) == {
        "id": made.id.encode(),
        "incident": made.incident.id.encode(),
        "phase": b"open",
        "kind": b"anomaly",
        "schema": b"2",
    }


def test_a_record_that_is_too_large_is_refused_and_takes_no_other_along(broker: Cluster, make: MakeSink) -> None:
    topic = broker.create_topic()
    values: Sequence[bytes] = [b"a", os.urandom(3 << 20), b"b", b"c", os.urandom(3 << 20), b"d"]
    sink = make(broker, topic)
    attempts = sink.deliver_all([(dead_letter_entry(i, value=value), 1) for i, value in enumerate(values)])
    assert [a.code for a in attempts] == ["ok", "too_large", "ok", "ok", "too_large", "ok"]
    assert [a.outcome for a in attempts if a.code == "too_large"] == [Outcome.REFUSED] * 2
    assert sink.deliver(dead_letter_entry(9, value=b"e"), 1).outcome is Outcome.DELIVERED
    assert [r.value for r in read_all(broker.bootstrap, topic)] == [b"a", b"b", b"c", b"d", b"e"]


def test_a_large_record_that_compresses_arrives(broker: Cluster, make: MakeSink) -> None:
    topic = broker.create_topic()
    assert make(broker, topic).deliver(dead_letter_entry(value=b"x" * (3 << 20)), 1).outcome is Outcome.DELIVERED


def test_a_topic_that_is_not_there_yet_is_waited_for(new_broker: Callable[..., Broker], make: MakeSink) -> None:
    broker = new_broker(settings={"auto.create.topics.enable": "false"})
    sink = make(broker, "late", timeout=2.0)
    assert sink.deliver(dead_letter_entry(), 1).outcome is Outcome.RETRY
    broker.create_topic("late")
    assert sink.deliver(dead_letter_entry(), 2).outcome is Outcome.DELIVERED


def test_a_broker_that_went_away_and_came_back_is_used_again(new_broker: Callable[..., Broker], make: MakeSink) -> None:
    broker = new_broker()
    topic = broker.create_topic()
    sink = make(broker, topic, alert_message, timeout=2.0)
    assert sink.deliver(entry("out", 1), 1).outcome is Outcome.DELIVERED
    broker.kill()
    assert sink.deliver(entry("out", 2), 1).outcome is Outcome.RETRY
    assert sink.deliver(entry("out", 2), 2).outcome is Outcome.RETRY
    broker.start()
    outcomes = [sink.deliver(entry("out", 2), attempt).outcome for attempt in range(3, 8)]
    assert outcomes[-1] is Outcome.DELIVERED
    arrived = {dict(r.headers)["id"].decode() for r in read_all(broker.bootstrap, topic)}
    assert arrived == {entry("out", 1).id, entry("out", 2).id}
