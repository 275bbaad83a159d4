"""The events that the benchmarks measure with, and how they get into a topic fast."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
from kafka import KafkaProducer

from detector.types import Float64
from tests.bench.measure import installed

FEATURES = [f"f{n:02d}" for n in range(16)]
ENTITIES = 1000
PARTITIONS = 4
ARROW_ROWS = 1000
EVENTS: dict[str, Any] = {"features": FEATURES, "entity": "entity", "timestamp": {"path": "ts", "unit": "ms"}}
"""How the daemon is told to read them; Arrow's columns have the same names."""

_DISTINCT = 20_000
_FAR_EVERY = 10_000
_FAR = 40.0


class Message(NamedTuple):
    """What is sent to a partition."""

    partition: int
    key: bytes | None
    value: bytes


def rows() -> Float64:
    """Return 20,000 rows of 16 normal numbers, of which two are far out."""
    values = np.random.default_rng(0).normal(size=(_DISTINCT, len(FEATURES))).round(5)
    values[_FAR_EVERY - 1 :: _FAR_EVERY, :4] = _FAR
    return values


def json_messages(events: int) -> Iterator[Message]:
    """Yield an event a message, about 270 bytes, 1,000 a second of event time up to now, the entities in turn."""
    start = time.time_ns() // 1_000_000 - events
    encode = msgspec.json.Encoder().encode
    values = [dict(zip(FEATURES, row, strict=True)) for row in rows().tolist()]
    for n in range(events):
        # Seven has no factor in common with 1,000: each entity once in a thousand, and each far row at another one.
        number = (7 * n + n // ENTITIES) % ENTITIES
        entity = f"host-{number}"
        event = {"ts": start + n, "entity": entity, **values[n % _DISTINCT]}
        yield Message(number % PARTITIONS, entity.encode(), encode(event))


def arrow_messages(records: int) -> Iterator[Message]:
    """Yield record batches of 1,000 rows; rows, entities and event time go on as in `json_messages`."""
    start = time.time_ns() // 1_000_000 - records * ARROW_ROWS
    values = rows().astype(np.float32).reshape(-1, ARROW_ROWS, len(FEATURES))
    step = np.arange(ARROW_ROWS, dtype=np.int64) * PARTITIONS
    for n in range(records):
        turn, partition = divmod(n, PARTITIONS)
        numbers = partition + (step + PARTITIONS * turn) % ENTITIES
        entities = pa.array([f"host-{number}" for number in numbers.tolist()]).dictionary_encode()
        columns = dict(zip(FEATURES, values[n % len(values)].T.copy(), strict=True))
        times = pa.array(start + turn * ARROW_ROWS * PARTITIONS + step + partition)
        batch = pa.record_batch({**columns, "ts": times, "entity": entities})
        out = pa.BufferOutputStream()
        with pa.ipc.new_stream(out, batch.schema) as writer:
            writer.write_batch(batch)
        yield Message(partition, None, out.getvalue().to_pybytes())


def fill(bootstrap: str, topic: str, messages: Iterable[Message]) -> None:
    """Send all messages as fast as this machine can: by confluent-kafka where it is installed (extra `bench`)."""
    (_fill_by_confluent if installed("confluent_kafka") else _fill_by_kafka_python)(bootstrap, topic, messages)


def _fill_by_confluent(bootstrap: str, topic: str, messages: Iterable[Message]) -> None:
    from confluent_kafka import Producer  # noqa: PLC0415 - from an extra that may be absent

    failed: list[str] = []

    def delivered(error: object, _message: object) -> None:
        if error is not None:
            failed.append(str(error))

    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "linger.ms": 50,
            "queue.buffering.max.messages": 200_000,
            "queue.buffering.max.kbytes": 512 << 10,
        }
    )
    for message in messages:
        while True:
            try:
                producer.produce(topic, message.value, message.key, partition=message.partition, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush()
    assert not failed, failed[0]


def _fill_by_kafka_python(bootstrap: str, topic: str, messages: Iterable[Message]) -> None:
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, linger_ms=50, batch_size=256 << 10, max_block_ms=120_000, buffer_memory=64 << 20
    )
    last: dict[int, Any] = {}
    for message in messages:
        last[message.partition] = producer.send(topic, message.value, message.key, partition=message.partition)
    producer.flush()
    for future in last.values():
        future.get(timeout=30)
    producer.close()
