"""Alerts and dead letters to Kafka topics: the door to kafka-python on the way out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
import structlog
from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.net.sasl.oauth import AbstractTokenProvider

from detector.alerts import dead_letters
from detector.config.kafka_client import TOKEN_PROVIDERS, client_arguments
from detector.errors import ConfigError
from detector.types import Attempt, DeadLetter, OutboxEntry, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from detector.config.sections import Kafka

log = structlog.get_logger(__name__)

_DELIVERY_TIMEOUT = 20.0
_REQUEST_LIMIT = 256 << 20
_CLOSE_TIMEOUT = 5.0

for _provider in TOKEN_PROVIDERS:
    AbstractTokenProvider.register(_provider)


class Message(NamedTuple):
    """What goes to the topic for one outbox entry."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class KafkaSink:
    """Sends entries to one topic, acknowledged by all in-sync replicas; once connected, many at a time.

    At least once: kafka-python's idempotent producer removes duplicates of its own retries, but an attempt that ran
    into its timeout may have arrived all the same. The header `id` tells.
    """

    def __init__(self, name: str, topic: str, kafka: Kafka, format_: Callable[[OutboxEntry], Message]) -> None:
        """Read secrets and certificates; ConfigError where one cannot be used. The broker may be away."""
        self._name = name
        self._topic = topic
        self._format = format_
        self._timeout = min(kafka.request_timeout, _DELIVERY_TIMEOUT)
        self._arguments = client_arguments(kafka) | {
            "acks": "all",
            "enable_idempotence": True,
            "compression_type": "lz4",
            # Each ends a little before the next, so that the innermost says what went wrong.
            "request_timeout_ms": round(self._timeout * 800),
            "delivery_timeout_ms": round(self._timeout * 900),
            "max_block_ms": round(self._timeout * 900),
            "bootstrap_timeout_ms": round(self._timeout * 900),
            # The broker knows what it takes; a limit of the client's own would only refuse more.
            "max_request_size": _REQUEST_LIMIT,
            "metrics_enabled": False,
        }
        self._producer: Any = None

    @property
    def name(self) -> str:
        """The sink's name in metrics and logs."""
        return self._name

    def deliver(self, entry: OutboxEntry, attempt: int) -> Attempt:
        """Send one entry and wait for its acknowledgement."""
        return self.deliver_all([(entry, attempt)])[0]

    def deliver_all(self, entries: Sequence[tuple[OutboxEntry, int]]) -> list[Attempt]:
        """Send entries in order and wait for all acknowledgements; returns an attempt for each.

        A record that the broker refuses leaves kafka-python's idempotent producer in a fatal state, in which it fails
        every later record with the same error. So a refusal counts only from a fresh producer that sent nothing else.
        """
        deadline = time.monotonic() + self._timeout
        attempts = self._send([entry for entry, _ in entries], deadline)
        if len(entries) > 1:
            for i, attempt in enumerate(attempts):
                if attempt.outcome is Outcome.REFUSED:
                    attempts[i] = self._send([entries[i][0]], deadline)[0]
        return attempts

    def close(self) -> None:
        """Leave; what is not yet acknowledged will be sent again."""
        if self._producer is None:
            return
        producer, self._producer = self._producer, None
        try:
            producer.close(timeout=_CLOSE_TIMEOUT)
        except KafkaError as error:
            log.warning("producer_not_closed", sink=self._name, error=str(error))

    def _send(self, entries: Sequence[OutboxEntry], deadline: float) -> list[Attempt]:
        """Send entries with the producer there is, or a new one; after any failure there is none."""
        if time.monotonic() > deadline:
            return [Attempt(Outcome.RETRY, "timeout", f"topic {self._topic}: no time left in this attempt")]
        try:
            if self._producer is None:
                self._producer = KafkaProducer(**self._arguments)
            self._producer.partitions_for(self._topic)  # blocks; here once rather than in each `send`
        except (KafkaError, ConfigError, OSError) as error:
            self.close()
            return [self._failed(error)] * len(entries)
        futures = [self._future(entry) for entry in entries]
        attempts = [self._result(future, deadline) for future in futures]
        if any(attempt.outcome is not Outcome.DELIVERED for attempt in attempts):
            self.close()
        return attempts

    def _future(self, entry: OutboxEntry) -> Any:
        """Return the future of a record, or the error that prevented it."""
        try:
            key, value, headers = self._format(entry)
            return self._producer.send(self._topic, value, key, headers)
        except (KafkaError, msgspec.MsgspecError, ValueError, TypeError) as error:
            return error

    def _result(self, future: Any, deadline: float) -> Attempt:
        if isinstance(future, Exception):
            return self._failed(future)
        try:
            future.get(timeout=max(deadline - time.monotonic(), 0.001))
        except KafkaError as error:
            return self._failed(error)
        return Attempt(Outcome.DELIVERED, "ok")

    def _failed(self, error: Exception) -> Attempt:
        """Classify: only a record that the broker will never take is refused; rights and topics can be mended."""
        code = _code(error)
        outcome = Outcome.REFUSED if code in _REFUSALS else Outcome.RETRY
        return Attempt(outcome, code, f"topic {self._topic}: {type(error).__name__}: {error}"[:300])


class _Incident(msgspec.Struct):
    id: str


class _Subject(msgspec.Struct):
    """What the key and the headers of an alert's message are made from."""

    schema: int
    kind: str
    phase: str
    incident: _Incident
    entity: str | None
    topic: str
    partition: int


class _Group(msgspec.Struct):
    """The same of a message for people."""

    schema: int
    kind: Literal["notification"]
    status: str
    labels: dict[str, str]


_subject = msgspec.json.Decoder(_Subject)
_group = msgspec.json.Decoder(_Group)


def message(entry: OutboxEntry) -> Message:
    """Return the message of an alert, or of what people are told where the sink is not direct."""
    return group_message(entry) if entry.kind == "notification" else alert_message(entry)


def group_message(entry: OutboxEntry) -> Message:
    """Return the message of a group: keyed by its labels, so that order is kept."""
    group = _group.decode(entry.body)
    headers = [("id", entry.id), ("status", group.status), ("kind", group.kind), ("schema", str(group.schema))]
    key = msgspec.json.encode(dict(sorted(group.labels.items())))
    return Message(key, entry.body, [(name, text.encode()) for name, text in headers])


def alert_message(entry: OutboxEntry) -> Message:
    """Return an alert's message: keyed by entity (or topic/partition where there is none), so that order is kept."""
    subject = _subject.decode(entry.body)
    key = subject.entity if subject.entity is not None else f"{subject.topic}/{subject.partition}"
    headers = [
        ("id", entry.id),
        ("incident", subject.incident.id),
        ("phase", subject.phase),
        ("kind", subject.kind),
        ("schema", str(subject.schema)),
    ]
    return Message(key.encode(), entry.body, [(name, text.encode()) for name, text in headers])


def dead_letter_message(entry: OutboxEntry) -> Message:
    """Return a dead letter's message: the record's own key, value and headers, and why it was rejected."""
    letter = dead_letters.decode(entry.body)
    # kafka-python takes no message that has neither key nor value, and no header without one; an empty value is the
    # nearest to none.
    value = b"" if letter.key is None and letter.value is None else letter.value
    own = [(name, b"" if text is None else text) for name, text in letter.headers]
    return Message(letter.key, value, [*own, *_reasons(entry.id, letter)])


def _reasons(id_: str, letter: DeadLetter) -> list[tuple[str, bytes]]:
    headers = {
        "detector.id": id_,
        "detector.reason": ",".join(dict.fromkeys(letter.reasons)),
        "detector.topic": letter.partition.topic,
        "detector.partition": str(letter.partition.number),
        "detector.offset": str(letter.offset),
        "detector.timestamp": str(letter.timestamp),
        "detector.rows": dead_letters.ranges(letter.rows),
        "detector.detail": letter.detail,
    }
    return [(name, text.encode()) for name, text in headers.items()]


_REFUSALS = {"too_large", "invalid_record"}
_CODES = {
    "MessageSizeTooLargeError": "too_large",
    "RecordListTooLargeError": "too_large",
    "InvalidRecordError": "invalid_record",
    "InvalidTimestampError": "invalid_record",
    "MsgspecError": "invalid_record",
    "TypeError": "invalid_record",
    "ValueError": "invalid_record",
    "UnknownTopicOrPartitionError": "unknown_topic",
    "InvalidTopicError": "invalid_topic",
    "TopicAuthorizationFailedError": "not_authorized",
    "ClusterAuthorizationFailedError": "not_authorized",
    "SaslAuthenticationFailedError": "not_authenticated",
    "UnsupportedSaslMechanismError": "not_authenticated",
    "NotEnoughReplicasError": "too_few_replicas",
    "NotEnoughReplicasAfterAppendError": "too_few_replicas",
    "NoBrokersAvailable": "unreachable",
    "KafkaConnectionError": "unreachable",
    "ConfigError": "not_authenticated",
}


def _code(error: Exception) -> str:
    """Return one of a bounded set of words for what went wrong, for metrics."""
    if isinstance(error, KafkaTimeoutError):
        return "timeout"
    return next((_CODES[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _CODES), "kafka")
