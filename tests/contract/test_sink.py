"""What every sink keeps to: what arrives is the entry's body and id, once an attempt, and no failure raises."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from detector.alerts import body, dead_letters
from detector.alerts.alertmanager import AlertmanagerSink
from detector.alerts.apprise import AppriseSink
from detector.alerts.kafka import KafkaSink, alert_message, dead_letter_message
from detector.alerts.rendering import rendering
from detector.alerts.stdout import StdoutSink
from detector.alerts.webhook import WebhookSink
from detector.config import sections
from detector.protocols import Sink
from detector.types import OutboxEntry, Outcome
from tests.support.alerts import SECRET, dead_letter_entry, entry
from tests.support.broker import Cluster, free_port
from tests.support.kafka_topic import read_all
from tests.support.receiver import LOOPBACK, Receiver

Arrived = tuple[str | None, bytes]
"""The id (None where the way has no place for one but the body) and the body."""


class Way(ABC):
    """A sink and its receiver."""

    sink: Sink
    away: Sink
    """The same, with a receiver that is away."""

    @abstractmethod
    def arrived(self) -> list[Arrived]: ...

    def entry(self, number: int) -> OutboxEntry:
        return entry(self.sink.name, number)


class WebhookWay(Way):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.sink = self._sink(receiver.url)
        self.away = self._sink(f"http://127.0.0.1:{free_port()}/")

    def _sink(self, url: str) -> Sink:
        settings = {"url": url, "secrets": [SECRET], "timeout": 5, "allow_networks": LOOPBACK}
        return WebhookSink(sections.WebhookSink.model_validate(settings), "sinks[0]")

    def arrived(self) -> list[Arrived]:
        requests = self._receiver.requests
        for request in requests:
            request.verify(SECRET)
        return [(request.id, request.body) for request in requests]


class AlertmanagerWay(Way):
    """Alertmanager gets a form of its own: each is put back into the entry whose incident it names."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.sink = self._sink(receiver.url)
        self.away = self._sink(f"http://127.0.0.1:{free_port()}/")

    def _sink(self, url: str) -> Sink:
        settings = {"url": url, "timeout": 5, "allow_networks": LOOPBACK}
        return AlertmanagerSink(sections.AlertmanagerSink.model_validate(settings), "sinks[0]")

    def arrived(self) -> list[Arrived]:
        entries = {each.subject: each.body for each in map(self.entry, range(10))}
        posted = [json.loads(request.body) for request in self._receiver.requests]
        return [(None, entries[one["annotations"]["incident"]]) for alerts in posted for one in alerts]


class AppriseWay(Way):
    """A service gets text for people; here a template puts the id into it."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self.sink = self._sink(receiver.url)
        self.away = self._sink(f"http://127.0.0.1:{free_port()}/")

    def _sink(self, url: str) -> Sink:
        settings = {
            "url": url.replace("http:", "json:"),
            "timeout": 5,
            "template": "{{ id }}",
            "allow_networks": LOOPBACK,
        }
        given = sections.AppriseSink.model_validate(settings)
        return AppriseSink(given, "sinks[0]", rendering(given, "sinks[0]"))

    def arrived(self) -> list[Arrived]:
        entries = {each.id: each.body for each in map(self.entry, range(10))}
        told = [json.loads(request.body)["message"] for request in self._receiver.requests]
        return [(id_, entries[id_]) for id_ in told]


class StdoutWay(Way):
    def __init__(self, folder: Path) -> None:
        self._file = folder / "out"
        self._descriptor = os.open(self._file, os.O_CREAT | os.O_WRONLY)
        reader, self._deaf = os.pipe()
        os.close(reader)
        self.sink = StdoutSink("stdout", self._descriptor)
        self.away = StdoutSink("stdout", self._deaf)

    def arrived(self) -> list[Arrived]:
        return [(None, line) for line in self._file.read_bytes().splitlines()]

    def close(self) -> None:
        os.close(self._descriptor)
        os.close(self._deaf)


class KafkaWay(Way):
    message = staticmethod(alert_message)
    id_header = "id"

    def __init__(self, broker: Cluster) -> None:
        self._bootstrap = broker.bootstrap
        self._topic = broker.create_topic(broker.topic_name("alerts"))
        self.sink = self._sink(broker.bootstrap, 10.0)
        self.away = self._sink(f"127.0.0.1:{free_port()}", 1.0)

    def _sink(self, bootstrap: str, timeout: float) -> Sink:
        kafka = sections.Kafka(bootstrap_servers=[bootstrap], request_timeout=timeout)
        return KafkaSink("kafka", self._topic, kafka, self.message)

    def arrived(self) -> list[Arrived]:
        return [(dict(r.headers)[self.id_header].decode(), r.value) for r in read_all(self._bootstrap, self._topic)]


class DeadLetterWay(KafkaWay):
    message = staticmethod(dead_letter_message)
    id_header = "detector.id"

    def entry(self, number: int) -> OutboxEntry:
        return dead_letter_entry(number, value=f"broken {number}".encode())

    def arrived(self) -> list[Arrived]:
        # The record's own bytes are what travels: put each back into the entry it came from.
        entries = {dead_letters.decode(e.body).value: e for e in map(self.entry, range(100))}
        return [(id_, entries[value].body) for id_, value in super().arrived()]


WAYS: dict[str, Callable[[Receiver], Way]] = {
    "webhook": WebhookWay,
    "alertmanager": AlertmanagerWay,
    "apprise": AppriseWay,
}


@pytest.fixture(params=[*WAYS, "stdout", "kafka", "dead_letters"])
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Way]:
    with ExitStack() as stack:
        made: Way
        if request.param in WAYS:
            made = WAYS[request.param](stack.enter_context(Receiver()))
        elif request.param == "stdout":
            made = StdoutWay(tmp_path)
            stack.callback(made.close)
        else:
            kind = KafkaWay if request.param == "kafka" else DeadLetterWay
            made = kind(request.getfixturevalue("broker"))
        stack.callback(made.sink.close)
        stack.callback(made.away.close)
        yield made


def test_what_arrives_is_the_entry(way: Way) -> None:
    sent = [way.entry(number) for number in range(3)]
    for each in sent:
        assert way.sink.deliver(each, 1).outcome is Outcome.DELIVERED
    arrived = way.arrived()
    assert [received for _, received in arrived] == [each.body for each in sent]
    assert all(id_ in {None, each.id} for (id_, _), each in zip(arrived, sent, strict=True))


@pytest.mark.parametrize("way", ["webhook", "stdout", "kafka"], indirect=True)
def test_an_alert_that_arrives_is_what_the_schema_says_and_carries_its_id(way: Way) -> None:
    sent = way.entry(1)
    way.sink.deliver(sent, 1)
    ((_, received),) = way.arrived()
    document = json.loads(received)
    Draft202012Validator(body.schema()).validate(document)
    assert document["id"] == sent.id


def test_another_attempt_keeps_id_and_body(way: Way) -> None:
    sent = way.entry(1)
    for attempt in (1, 2):
        assert way.sink.deliver(sent, attempt).outcome is Outcome.DELIVERED
    first, second = way.arrived()
    assert first == second


def test_a_receiver_that_is_away_is_a_retry_and_does_not_raise(way: Way) -> None:
    attempt = way.away.deliver(way.entry(1), 1)
    assert attempt.outcome is Outcome.RETRY
    assert attempt.code.islower()
    assert attempt.detail


def test_closing_twice_is_harmless(way: Way) -> None:
    way.sink.deliver(way.entry(1), 1)
    way.sink.close()
    way.sink.close()
