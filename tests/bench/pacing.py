"""A producer in a process of its own, that sends events at a steady rate and writes into each when that was.

Every 2,000th event is far out, and marked by a header. Before what is measured it sends ordinary events at the same
rate for a while: a broker that has just started answers small requests slowly.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from kafka import KafkaProducer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.bench.load import ENTITIES, FEATURES, Message
from tests.bench.measure import installed

FAR_EVERY = 2000
LEARNED = 200 * ENTITIES
"""Events to learn before anything is paced."""
WARM_UP_SECONDS = 5.0
MILLION = 1_000_000
_BEFORE_SECONDS = 1200
"""What is learned lies so long before what is measured that no incident of it is open any more."""
_MARK = [("far", b"1")]

Send = Callable[[int, bytes, list[tuple[str, bytes]]], object]


def entity(n: int) -> int:
    """Return the number of an event's entity: each once in a thousand, and far events at another one each time."""
    return (7 * n + n // ENTITIES) % ENTITIES


def bodies(number: int, *, far: bool) -> list[bytes]:
    """Return the events' JSON without its beginning, which is the time of producing in microseconds."""
    values = np.random.default_rng(1).normal(size=(number, len(FEATURES))).round(5)
    if far:
        values[FAR_EVERY - 1 :: FAR_EVERY] += 40.0
    encode = msgspec.json.Encoder().encode
    rows = [dict(zip(FEATURES, row, strict=True)) for row in values.tolist()]
    return [encode({"entity": f"host-{entity(n)}", **row})[1:] for n, row in enumerate(rows)]


def to_learn(partitions: int) -> Iterator[Message]:
    """Yield ordinary events of all entities, each always in the same one of so many partitions."""
    start = time.time_ns() // 1000 - _BEFORE_SECONDS * MILLION
    ready = bodies(20 * ENTITIES, far=False)
    for n in range(LEARNED):
        at = n % len(ready)
        yield Message(entity(at) % partitions, None, b'{"ts":%d,' % (start + 100 * n) + ready[at])


class Producer:
    """Sends as Kafka's own producer does: lingers 5 ms at most, five requests under way; knows what became of them."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.acknowledged: list[float] = []
        self.send: Send
        self.finish: Callable[[], object]
        if installed("confluent_kafka"):
            self._use_confluent(bootstrap, topic)
        else:
            producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=5)
            self.send = lambda partition, value, headers: producer.send(
                topic, value, headers=headers, partition=partition
            )
            self.finish = producer.flush

    def _use_confluent(self, bootstrap: str, topic: str) -> None:
        from confluent_kafka import Producer as Confluent  # noqa: PLC0415 - from an extra that may be absent

        settings = {"bootstrap.servers": bootstrap, "linger.ms": 5, "max.in.flight.requests.per.connection": 5}
        confluent = Confluent(settings)

        def delivered(error: object, message: Any) -> None:
            assert error is None, error
            self.acknowledged.append(message.latency())

        def send(partition: int, value: bytes, headers: list[tuple[str, bytes]]) -> None:
            confluent.produce(topic, value, partition=partition, headers=headers, on_delivery=delivered)
            confluent.poll(0)

        self.send, self.finish = send, confluent.flush


def pace(send: Send, ready: list[bytes], rate: int, partitions: int) -> tuple[float, float]:
    """Send all at a steady rate, a lot every millisecond; returns the rate reached and how late it was at worst."""
    lot = max(1, round(rate / 1000))
    worst, started = 0.0, time.perf_counter()
    for n, body in enumerate(ready):
        if n % lot == 0:
            ahead = n / rate - (time.perf_counter() - started)
            worst = max(worst, -ahead)
            if ahead > 0:
                time.sleep(ahead)
        far = n % FAR_EVERY == FAR_EVERY - 1
        send(entity(n) % partitions, b'{"ts":%d,' % (time.time_ns() // 1000) + body, _MARK if far else [])
    return len(ready) / (time.perf_counter() - started), worst


def unmarked(send: Send) -> Send:
    """Send without headers."""
    return lambda partition, value, _headers: send(partition, value, [])


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("bootstrap")
    arguments.add_argument("topic")
    arguments.add_argument("rate", type=int)
    arguments.add_argument("seconds", type=float)
    arguments.add_argument("partitions", type=int)
    given = arguments.parse_args()
    producer = Producer(given.bootstrap, given.topic)
    warm_up = bodies(int(given.rate * WARM_UP_SECONDS), far=False)
    measured = bodies(int(given.rate * given.seconds), far=True)
    pace(unmarked(producer.send), warm_up, given.rate, given.partitions)
    began = time.time()
    rate, worst = pace(producer.send, measured, given.rate, given.partitions)
    producer.finish()
    acknowledged = [round(seconds, 6) for seconds in producer.acknowledged[len(warm_up) :]]
    print(json.dumps({"began": began, "rate": rate, "worst_lag_ms": 1000 * worst, "acknowledged": acknowledged}))


if __name__ == "__main__":
    main()
