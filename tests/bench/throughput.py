"""The daemon's events per second beside a bare kafka-python loop and beside Quix Streams, on a real broker.

Run: python tests/bench/throughput.py [--events N] [--runs R] [--only NAMES] [--json]
     python tests/bench/throughput.py --profile FILE [--variant arrow_daemon]     (py-spy; see hotspots.py)

It needs the extras `test` and `bench`, and a broker as the tests do. Each variant runs in a process of its own, in
turn (A B C A B C), on the same topics: JSON events of 16 features, 1,000 entities, 4 partitions; Arrow record batches
of 1,000 rows. Printed are medians. What is timed lies between the first lot of events that was dealt with and the last
event, so that start-up and compiling are left out. Beside it stand the events for each second of processor that the
process had, over all its threads: they hold on a machine that others keep busy too.

bare          kafka-python's poll loop, which only counts
decoding      that loop and msgspec, to one float64 array a poll and partition
daemon        the daemon with store, metrics, alerts and a webhook to a receiver in another process
quix_empty    Quix Streams, whose pipeline counts
quix_river    Quix Streams with River's StandardScaler and KMeans (16 clusters) a key
arrow_bare    kafka-python's poll loop and pyarrow, to one float32 array a record
arrow_daemon  the daemon, on Arrow
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import uuid
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from kafka import KafkaConsumer, TopicPartition

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.bench.load import ARROW_ROWS, EVENTS, FEATURES, PARTITIONS, arrow_messages, fill, json_messages
from tests.bench.measure import Meter, cluster, in_child, installed, machine, say
from tests.bench.receiving import receiver

ARROW_SHARE = 4
"""Arrow is so much faster that it gets more events for its turn to last."""
RIVER_SHARE = 1 / 20
"""And River is so slow that it gets fewer."""
RATIOS = (
    ("daemon", "bare"),
    ("daemon", "decoding"),
    ("daemon", "quix_empty"),
    ("daemon", "quix_river"),
    ("arrow_daemon", "arrow_bare"),
)

Result = dict[str, float]


# --- bare loops


def polled(bootstrap: str, topic: str, meter: Meter, deal: Callable[[list[Any]], int]) -> Result:
    """Poll with the daemon's sizes of fetches, and deal with each partition's records; it returns their events."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        max_poll_records=7680,
        fetch_max_bytes=16 << 20,
        max_partition_fetch_bytes=4 << 20,
        metrics_enabled=False,
    )
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    while not meter.done:
        meter.add(sum(deal(records) for records in consumer.poll(timeout_ms=1000).values()))
    consumer.close()
    return {"rate": meter.rate, "cpu_rate": meter.cpu_rate}


def bare(bootstrap: str, topic: str, events: int) -> Result:
    return polled(bootstrap, topic, Meter(events), len)


def decoding(bootstrap: str, topic: str, events: int) -> Result:
    fields = [(name, float | None, None) for name in [*FEATURES, "ts"]]
    event = msgspec.defstruct("Event", [*fields, ("entity", str | None, None)], gc=False)
    parse, numbers = msgspec.json.Decoder(event).decode, attrgetter(*FEATURES, "ts")

    def deal(records: list[Any]) -> int:
        return len(np.array([numbers(parse(record.value)) for record in records], dtype=np.float64))

    return polled(bootstrap, topic, Meter(events), deal)


def arrow_bare(bootstrap: str, topic: str, events: int) -> Result:
    def rows(record: Any) -> int:
        with pa.ipc.open_stream(pa.py_buffer(record.value)) as reader:
            batch = reader.read_next_batch()
        return len(np.stack([batch.column(name).to_numpy() for name in FEATURES], axis=1))

    return polled(bootstrap, topic, Meter(events), lambda records: sum(map(rows, records)))


# --- the daemon


def daemon(bootstrap: str, topic: str, events: int) -> Result:
    return daemon_reading("json", bootstrap, topic, events)


def arrow_daemon(bootstrap: str, topic: str, events: int) -> Result:
    return daemon_reading("arrow", bootstrap, topic, events)


def daemon_reading(form: str, bootstrap: str, topic: str, events: int) -> Result:
    """Run the daemon with its defaults until it has scored all events."""
    from detector import app  # noqa: PLC0415 - it imports TensorFlow, which the other variants must not carry
    from detector.config.sections import Config  # noqa: PLC0415 - likewise
    from detector.telemetry import logs  # noqa: PLC0415 - likewise

    meter = Meter(events)
    with tempfile.TemporaryDirectory(prefix="detector-bench-") as folder, receiver() as received:
        config = Config.model_validate(
            {
                "source": {"kind": "kafka", "topics": [topic], "group": f"bench-{uuid.uuid4()}"},
                "kafka": {"bootstrap_servers": [bootstrap]},
                "events": {**EVENTS, "format": form},
                "sinks": [{"kind": "webhook", "direct": True, "url": received.url, "allow_networks": ["127.0.0.0/8"]}],
                "store": {"path": folder},
                "http": {"port": 0},
                "log": {"level": "warning"},
            }
        )
        logs.configure(config.log)
        with app.daemon(config) as built:

            def stopped() -> bool:
                assert not built.metrics.dead_letters._value.get(), "events were rejected"
                meter.reach(int(built.metrics.events_consumed._value.get()))
                return meter.done

            built.service.run(stopped)
            sample = built.metrics.registry.get_sample_value
            alerts = sample("detector_alerts_total", {"state": "raised"}) or 0.0
            checkpoints = sample("detector_checkpoint_duration_seconds_count") or 0.0
            lost = [
                reason
                for reason in ("entity_limit", "few_features")
                if sample("detector_events_unscored_total", {"reason": reason})
            ]
            assert not lost, f"events were not scored: {lost}"
    return {
        "rate": meter.rate,
        "cpu_rate": meter.cpu_rate,
        "alerts": alerts,
        "webhooks": len(received.requests),
        "checkpoints": checkpoints,
    }


# --- Quix Streams


def quix_empty(bootstrap: str, topic: str, events: int) -> Result:
    return quix(bootstrap, topic, events, lambda event: event)


def quix_river(bootstrap: str, topic: str, events: int) -> Result:
    from river import cluster as river_cluster  # noqa: PLC0415 - from an extra that may be absent
    from river import preprocessing  # noqa: PLC0415 - likewise

    models: dict[str, tuple[Any, Any]] = {}

    def step(event: dict[str, Any]) -> dict[str, Any]:
        entity = event.pop("entity")
        event.pop("ts")
        if entity not in models:
            kmeans = river_cluster.KMeans(n_clusters=16, halflife=0.1, seed=1)
            models[entity] = preprocessing.StandardScaler(), kmeans
        scaler, kmeans = models[entity]
        scaler.learn_one(event)
        x = scaler.transform_one(event)
        kmeans.learn_one(x)
        centre = kmeans.centers[kmeans.predict_one(x)]
        return {"distance": sum((x[name] - centre[name]) ** 2 for name in x)}

    return quix(bootstrap, topic, events, step)


def quix(bootstrap: str, topic: str, events: int, step: Callable[[dict[str, Any]], dict[str, Any]]) -> Result:
    from quixstreams import Application  # noqa: PLC0415 - from an extra that may be absent

    meter = Meter(events)
    with tempfile.TemporaryDirectory(prefix="detector-bench-") as folder:
        application = Application(
            broker_address=bootstrap,
            consumer_group=f"bench-{uuid.uuid4()}",
            auto_offset_reset="earliest",
            auto_create_topics=False,
            state_dir=folder,
            loglevel="ERROR",
        )

        def counted(event: dict[str, Any]) -> dict[str, Any]:
            result = step(event)
            meter.add(1)
            if meter.done:
                application.stop()
            return result

        frame = application.dataframe(application.topic(topic, value_deserializer="json"))
        frame.apply(counted)
        application.run()
    return {"rate": meter.rate, "cpu_rate": meter.cpu_rate}


VARIANTS: dict[str, Callable[[str, str, int], Result]] = {
    variant.__name__: variant for variant in (bare, decoding, daemon, quix_empty, quix_river, arrow_bare, arrow_daemon)
}


# --- the benchmark


def events_of(variant: str, events: int) -> int:
    """Return how many events a variant reads."""
    if variant == "quix_river":
        return max(2, round(events * RIVER_SHARE))
    return events * ARROW_SHARE // ARROW_ROWS * ARROW_ROWS if variant.startswith("arrow") else events


def possible(variants: list[str]) -> list[str]:
    """Leave out what is not installed, and say so."""
    missing = {"quix_empty": ("quixstreams",), "quix_river": ("quixstreams", "river")}
    absent = [variant for variant in variants if not installed(*missing.get(variant, ()))]
    if absent:
        print(f"not measured: {', '.join(absent)}: install the extra `bench` (quixstreams, river)")
    return [variant for variant in variants if variant not in absent]


def filled(bootstrap: str, create: Callable[..., str], variants: list[str], events: int) -> dict[str, str]:
    """Make the topics that the variants read; returns the topic of each."""
    topics: dict[str, str] = {}
    for form in ("json", "arrow"):
        reading = [variant for variant in variants if variant.startswith("arrow") == (form == "arrow")]
        if not reading:
            continue
        count = events_of(reading[0], events) if form == "arrow" else events
        say(f"filling a topic with {count:,} {form} events")
        topic = create(partitions=PARTITIONS)
        fill(bootstrap, topic, arrow_messages(count // ARROW_ROWS) if form == "arrow" else json_messages(count))
        topics |= dict.fromkeys(reading, topic)
    return topics


def report(results: dict[str, list[Result]], events: int) -> dict[str, Any]:
    """Print the medians side by side, and return them with their ratios."""
    found: dict[str, Any] = dict.fromkeys(VARIANTS)
    print(f"{'variant':14}{'events':>11}{'events/s':>13}{'per cpu s':>13}   each run")
    for variant, runs in results.items():
        rates = [run["rate"] for run in runs]
        found[variant] = round(statistics.median(rates))
        found[f"{variant}_per_cpu_second"] = round(statistics.median(run["cpu_rate"] for run in runs))
        each = "  ".join(f"{rate:,.0f}" for rate in rates)
        of_cpu = found[f"{variant}_per_cpu_second"]
        print(f"{variant:14}{events_of(variant, events):>11,}{found[variant]:>13,}{of_cpu:>13,}   {each}")
    for variant in ("daemon", "arrow_daemon"):
        if variant in results:
            total = {
                key: round(sum(run[key] for run in results[variant])) for key in ("alerts", "webhooks", "checkpoints")
            }
            print(
                f"{variant}: {total['alerts']} alerts, {total['webhooks']} webhooks received, over all runs; "
                f"{total['checkpoints']} checkpoints of a partition"
            )
    for one, other in RATIOS:
        ratio = round(found[one] / found[other], 3) if found[one] and found[other] else None
        found[f"{one}_to_{other}"] = ratio
        if ratio is not None:
            of_cpu = found[f"{one}_per_cpu_second"] / found[f"{other}_per_cpu_second"]
            found[f"{one}_to_{other}_per_cpu_second"] = round(of_cpu, 3)
            print(f"{one} / {other} = {ratio:.2f}, per second of processor {of_cpu:.2f}")
    return found


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument(
        "--events", type=int, default=1_000_000, help="JSON events; four times as many rows of Arrow"
    )
    arguments.add_argument("--runs", type=int, default=3, help="how often each variant runs")
    arguments.add_argument("--only", default=",".join(VARIANTS), help="variants, with commas between")
    arguments.add_argument("--json", action="store_true", help="print one JSON object on the last line")
    arguments.add_argument("--profile", metavar="FILE", help="run one variant of the daemon under py-spy instead")
    arguments.add_argument("--variant", choices=VARIANTS, default="daemon", help="which one to profile")
    arguments.add_argument("--measure", nargs=2, metavar=("BOOTSTRAP", "TOPIC"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.measure:
        bootstrap, topic = given.measure
        print(json.dumps(VARIANTS[given.variant](bootstrap, topic, given.events)))
        return

    def measure(variant: str, under: tuple[str, ...] = ()) -> Result:
        parameters = ("--variant", variant, "--events", events_of(variant, given.events))
        result: Result = in_child(__file__, "--measure", bootstrap, topics[variant], *parameters, under=under)
        say(f"{variant}: {result['rate']:,.0f} events/s")
        return result

    if unknown := set(given.only.split(",")) - set(VARIANTS):
        arguments.error(f"no variants: {', '.join(sorted(unknown))}")
    about = machine()
    print(about)
    variants = [given.variant] if given.profile else possible(given.only.split(","))
    with cluster() as running:
        bootstrap = running.bootstrap
        topics = filled(bootstrap, running.create_topic, variants, given.events)
        if given.profile:
            form = "speedscope" if given.profile.endswith(".json") else "raw"
            options = f"record --rate 200 --threads --format {form} --output".split()
            spy = (str(Path(sys.executable).with_name("py-spy")), *options, str(Path(given.profile).resolve()), "--")
            print(f"{measure(given.variant, spy)['rate']:,.0f} events/s under py-spy")
            return
        results: dict[str, list[Result]] = {variant: [] for variant in variants}
        for run in range(given.runs):
            say(f"run {run + 1} of {given.runs}")
            for variant in variants:
                results[variant].append(measure(variant))
    found = report(results, given.events)
    if given.json:
        print(json.dumps({**found, "events": given.events, "runs": given.runs, "machine": about}))


if __name__ == "__main__":
    main()
