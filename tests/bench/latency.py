"""How long an event takes to its score, and an anomaly to the webhook, beside a bare loop on the same topic.

Run: python tests/bench/latency.py [--rate N] [--seconds S] [--partitions N] [--json]

It needs the extra `test` (`bench` for a lighter producer), and a broker as the tests do. Producer and receiver are
processes of their own; the producer writes the moment of producing into each event, and every 2,000th is far out (five
a second at 10,000 events/s), each time at another entity. The daemon runs with its defaults, checkpoints included, but
for the rate that is asked for, and a webhook that wants each alert at once; first it learns 200 events of each of 1,000
entities, and then some seconds at the same rate: neither is measured.

ack      from produce until the broker's answer, as the producer saw it (known with confluent-kafka alone)
score    daemon: from produce until the rows have their scores and their alerts are handed to the writer
         bare: from produce until kafka-python's poll returned the record
webhook  from produce until the receiver has the request; the bare loop posts the marked records themselves, one after
         the other, over one connection, and knows them by a header without decoding anything

How many of the marked events were posted is printed: the daemon does not post one whose entity has an incident already.
Of fewer than a hundred the 99th percentile is the largest but for a little.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import msgspec
import numpy as np
from kafka import KafkaConsumer, TopicPartition

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from detector.types import Float64
from tests.bench import pacing
from tests.bench.load import ENTITIES, EVENTS, PARTITIONS, fill
from tests.bench.measure import background, cluster, machine, next_line, say
from tests.bench.pacing import FAR_EVERY, LEARNED, MILLION, WARM_UP_SECONDS
from tests.bench.receiving import receiver

_SETTLE_SECONDS = 2.0
"""For what was learned to come to rest: its alerts, and the rest of its last fetch."""

Figures = dict[str, float]


class Pace(NamedTuple):
    """Events a second, for how long, and over how many partitions."""

    rate: int
    seconds: float
    partitions: int


class Reading:
    """Counts what a reader has read: first what is learned (then it says "ready"), then a warm-up, then `count`."""

    def __init__(self, learned: int, warm_up: int, count: int) -> None:
        self._learned = learned
        self._before = learned + warm_up
        self._all = self._before + count
        self._seen = 0
        self.late: list[Float64] = []
        self._began: tuple[float, float] | None = None
        self._cores = 0.0

    @property
    def done(self) -> bool:
        return self._seen >= self._all

    def read(self, late: Float64) -> None:
        """Take note of events [n], which are so late."""
        before, self._seen = self._seen, self._seen + len(late)
        self.late.append(late)
        if before < self._learned <= self._seen:
            print("ready", flush=True)
        if self._began is None and self._seen >= self._before:
            self._began = time.process_time(), time.perf_counter()
        elif self._began is not None and self.done:
            self._cores = (time.process_time() - self._began[0]) / (time.perf_counter() - self._began[1])

    def result(self) -> dict[str, Any]:
        """Return the seconds from produce to score of the events measured, and how many cores the reader used."""
        late = np.concatenate(self.late)[self._before : self._all]
        return {"late": late.round(6).tolist(), "cores": round(self._cores, 2)}


# --- who reads


def daemon(bootstrap: str, topic: str, partitions: int, url: str, reading: Reading) -> None:
    """Run the daemon with its defaults; it finds the partitions by itself."""
    del partitions
    from detector import app  # noqa: PLC0415 - it imports TensorFlow, which the bare loop must not carry
    from detector.config.sections import Config  # noqa: PLC0415 - likewise
    from detector.models.progress import Progress  # noqa: PLC0415 - likewise
    from detector.observing import Observing  # noqa: PLC0415 - likewise
    from detector.owned import Owned  # noqa: PLC0415 - likewise
    from detector.telemetry import logs  # noqa: PLC0415 - likewise
    from detector.types import Rows  # noqa: PLC0415 - likewise

    def watch(observing: Observing) -> Observing:
        advanced = observing.advanced

        def noting(owned: Owned, rows: Rows, progress: Progress) -> None:
            reading.read(time.time() - rows.times)
            advanced(owned, rows, progress)

        observing.advanced = noting  # type: ignore[method-assign]  # the shortest way to look over its shoulder
        return observing

    with tempfile.TemporaryDirectory(prefix="detector-bench-") as folder:
        config = Config.model_validate(
            {
                "source": {"kind": "kafka", "topics": [topic], "group": f"bench-{uuid.uuid4()}"},
                "kafka": {"bootstrap_servers": [bootstrap]},
                "events": {**EVENTS, "timestamp": {"path": "ts", "unit": "us"}},
                # The default, five incidents a day, is one in 170 million of these events: no reference tells of it.
                "alerting": {"false_alarm_rate": 1e-4},
                "sinks": [{"kind": "webhook", "direct": True, "url": url, "allow_networks": ["127.0.0.0/8"]}],
                "store": {"path": folder},
                "http": {"port": 0},
                "log": {"level": "warning"},
            }
        )
        logs.configure(config.log)
        with app.daemon(config, watch=watch) as built:
            built.service.run(lambda: reading.done)


def bare(bootstrap: str, topic: str, partitions: int, url: str, reading: Reading) -> None:
    """Poll, and post what is marked."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        max_poll_records=7680,
        fetch_max_wait_ms=50,
        metrics_enabled=False,
    )
    all_of_them = [TopicPartition(topic, number) for number in range(partitions)]
    consumer.assign(all_of_them)
    consumer.seek_to_beginning(*all_of_them)
    parse = msgspec.json.Decoder().decode
    arrived: list[tuple[float, list[bytes]]] = []
    with httpx2.Client() as client:
        while not reading.done:
            polled = consumer.poll(timeout_ms=100)
            now = time.time()
            for records in polled.values():
                arrived.append((now, [record.value for record in records]))
                for record in records:
                    if record.headers:
                        client.post(url, content=record.value)
                reading.read(np.full(len(records), now))
    consumer.close()
    # Decoded only now: the loop itself knows no more than when a record arrived.
    reading.late = [np.array([at - parse(value)["ts"] / MILLION for value in values]) for at, values in arrived]


READERS = {"daemon": daemon, "bare": bare}


# --- the benchmark


def measure(reader: str, bootstrap: str, topic: str, pace: Pace) -> Figures:
    """Let one reader read what a producer produces; returns milliseconds, and what became of the pace."""
    say(f"{reader}: {LEARNED:,} events to learn")
    fill(bootstrap, topic, pacing.to_learn(pace.partitions))
    where = bootstrap, topic
    with receiver() as received, background(__file__, "--read", reader, *where, received.url, *pace) as reading:
        next_line(reading)
        time.sleep(_SETTLE_SECONDS)
        say(f"{reader}: {pace.rate:,} events/s for {WARM_UP_SECONDS:g} s and then {pace.seconds:g} s")
        with background(pacing.__file__, *where, *pace) as producing:
            produced = json.loads(next_line(producing))
        read = json.loads(next_line(reading))
    posted = [
        arrival - (body["epoch"] if reader == "daemon" else body["ts"] / MILLION) for arrival, body in received.requests
    ]
    # Alerts on rows before what is measured are none of it.
    began = produced["began"]
    fresh = [late for late, (arrival, _) in zip(posted, received.requests, strict=True) if arrival - late >= began]
    say(f"{reader}: p99 of the scores, tenth by tenth, in ms: {tenths(read['late'])}")
    return {
        "produced_per_second": round(produced["rate"]),
        "producer_worst_lag_ms": round(produced["worst_lag_ms"], 1),
        "anomalies": int(pace.rate * pace.seconds) // FAR_EVERY,
        "webhooks": len(fresh),
        "cores": read["cores"],
        **(quantiles("ack", produced["acknowledged"]) if produced["acknowledged"] else {}),
        **quantiles("score", read["late"]),
        **quantiles("webhook", fresh),
    }


def tenths(seconds: Sequence[float]) -> str:
    """Say how the latency went along, which tells a bad moment from a daemon that cannot follow."""
    return "  ".join(f"{1000 * np.quantile(part, 0.99):.1f}" for part in np.array_split(np.array(seconds), 10))


def quantiles(name: str, seconds: Sequence[float]) -> Figures:
    """Return quantiles in milliseconds."""
    assert len(seconds), f"no {name} is known: measure with more events"
    found = dict(zip(("p50", "p99", "max"), np.quantile(np.array(seconds), (0.5, 0.99, 1.0)).tolist(), strict=True))
    return {f"{name}_{which}_ms": round(1000 * value, 2) for which, value in found.items()}


def report(results: dict[str, Figures]) -> Figures:
    """Print both readers side by side, and return the ratios."""
    print(f"{'':18}{'daemon':>12}{'bare':>12}{'ratio':>9}")
    ratios: Figures = {}
    for key in [key for key in results["bare"] if key.endswith(("_p50_ms", "_p99_ms", "_max_ms"))]:
        one, other = results["daemon"][key], results["bare"][key]
        ratios[key.replace("_ms", "_ratio")] = ratio = round(one / other, 2)
        print(f"{key:18}{one:>12.2f}{other:>12.2f}{ratio:>9.2f}")
    for reader, result in results.items():
        print(
            f"{reader}: {result['produced_per_second']:,} events/s produced, at worst "
            f"{result['producer_worst_lag_ms']:g} ms behind; {result['anomalies']} made anomalous, "
            f"{result['webhooks']} of them posted; {result['cores']} cores used"
        )
    return ratios


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rate", type=int, default=10_000, help="events a second")
    arguments.add_argument("--seconds", type=float, default=30.0, help="how long to measure each reader")
    arguments.add_argument("--partitions", type=int, default=PARTITIONS, help="of the topic")
    arguments.add_argument("--json", action="store_true", help="print one JSON object on the last line")
    arguments.add_argument("--read", nargs=7, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.read:
        reader, bootstrap, topic, url, rate, seconds, partitions = given.read
        events = int(int(rate) * float(seconds))
        reading = Reading(LEARNED, int(int(rate) * WARM_UP_SECONDS), events)
        READERS[reader](bootstrap, topic, int(partitions), url, reading)
        print(json.dumps(reading.result()))
        return
    if given.rate * given.seconds > FAR_EVERY * ENTITIES:
        say("more anomalies than entities: some will fall into an open incident")
    pace, about = Pace(given.rate, given.seconds, given.partitions), machine()
    print(about)
    results = {}
    with cluster() as running:
        for reader in READERS:
            topic = running.create_topic(partitions=given.partitions)
            results[reader] = measure(reader, running.bootstrap, topic, pace)
    ratios = report(results)
    if given.json:
        print(json.dumps({**results, **ratios, **pace._asdict(), "machine": about}))


if __name__ == "__main__":
    main()
