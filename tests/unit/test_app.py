from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.app import Daemon, daemon
from detector.config.sections import Config
from detector.control import address
from detector.control.asking import ask
from detector.errors import StoreError
from detector.sources.memory import MemoryLog, MemorySource
from detector.store.notification import NotificationFile
from detector.store.sqlite import SqliteStore
from detector.telemetry.health import BlockReason
from detector.types import Partition, Position
from detector.version import __version__
from tests.support.member import document, event
from tests.support.receiver import LOOPBACK, Answer, Receiver

PARTITION = Partition("readings", 3)
EPOCH = 1_800_000_000
LINES = 1_500
SPOILT = LINES // 100

ISSUED = (
    "events_consumed_total events_passed_over_total events_rejected_total{reason} events_unscored_total{reason} "
    "events_late_total transforms_overflowed_total dead_letters_total last_event_timestamp_seconds{topic,partition} "
    "kafka_consumer_lag_records{topic,partition} kafka_consumer_lag_seconds{topic,partition} rebalances_total "
    "blocked{reason} scoring_duration_seconds batch_size_events anomalies_total{severity} anomaly_score "
    "centroids_active centroid_reseeds_total entities_active entities_evicted_total entities_warming_up "
    "entities_learning{mode} rows_quarantined promotions_total "
    "model_info{version} model_version{topic,partition} candidates_in_shadow "
    "checkpoint_duration_seconds checkpoint_bytes checkpoint_last_success_timestamp_seconds "
    "alerts_total{state} alerts_suppressed_total{reason} incidents_total{severity} incidents_open{severity} "
    "incidents_resolved_total{reason} alert_budget_incidents_per_day alert_observed_incidents_per_day "
    "flagged_target_ratio flagged_observed_ratio "
    "alert_budget_unmet{reason} deliveries_total{sink,code} delivery_duration_seconds{sink} "
    "notifications_total{sink,kind} outbox_alerts{sink} outbox_oldest_timestamp_seconds{sink} build_info{version} "
    "loop_age_seconds store_free_bytes store_size_bytes silences_active "
    "config_last_reload_successful config_last_reload_success_timestamp_seconds"
)
"""The metrics that the documentation names, with their labels."""


def configuration(folder: Path, **sections: Any) -> Config:
    """A small model that learns from a few hundred lines of a file; `sections` are put over it."""
    settings: dict[str, Any] = {
        "source": {"kind": "file", "path": folder / "readings.jsonl"},
        "events": {
            "features": ["f0", "f1", "f2"],
            "entity": "host",
            "timestamp": {"path": "ts", "unit": "s"},
            "where": {"kind": "load"},
        },
        "blocks": {"rows": 16},
        "entities": {"limit": 4, "evict_after": 60.0},
        "model": {"centroids": 4, "seed_rows": 24, "warm_up": 20, "half_life": {"events": 500}},
        "alerting": {"false_alarm_rate": 1e-2, "reference": 1000, "warm_up": 100},
        "incidents": {"resolve_after": 5.0},
        "sinks": [],
        "store": {"path": folder / "store"},
        "http": {"port": 0},
    }
    return Config.model_validate(settings | sections)


def lines(count: int) -> list[bytes]:
    """Return events with all that there is to count: anomalies, late ones, rejects, what `where` passes over."""
    values = np.random.default_rng(1).normal([1.0, 20.0, 300.0], [0.1, 2.0, 30.0], (count, 3))
    found = []
    for n, row in enumerate(values.tolist()):
        far = n > 1000 and n % 50 in {0, 1, 2, 3}
        host = "early" if n < 30 else {700: "once", 1498: "new", 1499: "one too many"}.get(n, "a")
        found.append(
            event(host, *(v * 100 if far else v for v in row), ts=EPOCH + n - 20 * (n % 100 == 7), kind="load")
        )
        if n % 100 == 20:
            found[-1]["kind"] = "disk"
        if n % 100 == 30:
            found[-1]["f1"] = "broken"
        if n % 100 == 40:
            found[-1] |= {"f0": None, "f1": None}
    return [document(one) for one in found]


def write(folder: Path, count: int = LINES) -> None:
    (folder / "readings.jsonl").write_bytes(b"".join(line + b"\n" for line in lines(count)))


def run(built: Daemon) -> None:
    """Run to the end of the source, until all alerts are out and told."""
    built.service.run(lambda: False)
    built.ownership.settle()
    assert built.delivery.drain(30.0)


def scrape(built: Daemon) -> dict[str, float]:
    """Return the metrics by name and labels, as /metrics writes them."""
    text = built.metrics.render()[0].decode()
    samples = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {name.removeprefix("detector_"): float(value) for name, value in samples}


def found(samples: dict[str, float], name: str, labels: Sequence[str]) -> dict[str, float]:
    """Return the samples of a metric (a histogram's count) that have exactly those labels."""
    pattern = rf"{name}(_count)?(\{{(.*)\}})?"
    matched = {key: re.fullmatch(pattern, key) for key in samples}
    return {
        key: samples[key]
        for key, match in matched.items()
        if match and set(re.findall(r'(\w+)="', match[3] or "")) >= set(labels)
    }


def assert_all_were_issued(samples: dict[str, float]) -> None:
    for issued in ISSUED.split():
        name, _, labels = issued.rstrip("}").partition("{")
        assert found(samples, name, labels.split(",") if labels else []), issued


def assert_people_were_told(receiver: Receiver, people: Receiver) -> None:
    """Assert that at the end of the source nobody was waited for any longer."""
    alerts, messages = ([json.loads(request.body) for request in each.requests] for each in (receiver, people))
    told = {alert["incident"]["id"] for message in messages for alert in message["alerts"]}
    assert told == {alert["incident"]["id"] for alert in alerts}
    assert {message["labels"]["topic"] for message in messages} == {"readings"}


def test_every_metric_has_a_value_when_everything_has_happened(tmp_path: Path) -> None:
    log = MemoryLog()
    for n, line in enumerate(lines(LINES)):
        log.append(PARTITION, line, timestamp=1000 * (EPOCH + n))
    source = MemorySource(log)
    source.give(PARTITION)

    def everything_told() -> bool:
        samples = scrape(built)
        outbox = 'outbox_oldest_timestamp_seconds{sink="webhook"}'
        return samples["entities_evicted_total"] == 2 == samples["entities_active"] and samples.get(outbox) == 0

    with Receiver() as receiver, Receiver() as people:
        sinks = [
            {"kind": "webhook", "url": receiver.url, "direct": True, "allow_networks": LOOPBACK},
            {"kind": "webhook", "name": "people", "url": people.url, "allow_networks": LOOPBACK},
        ]
        config = configuration(tmp_path, sinks=sinks, checkpoint={"interval": 0.1}, notification={"alerts": 1000})
        with daemon(config, source=source) as built:
            built.service.run(everything_told)
            samples = scrape(built)
            source.finish()
        delivered = len(receiver.requests)
    assert_people_were_told(receiver, people)
    assert_all_were_issued(samples)
    assert samples["events_consumed_total"] == LINES - 2 * SPOILT
    assert samples["events_passed_over_total"] == SPOILT
    assert samples['events_rejected_total{reason="not_a_number"}'] == SPOILT
    assert samples['events_rejected_total{reason="not_finite"}'] == 0
    assert samples["dead_letters_total"] == SPOILT
    assert samples['events_unscored_total{reason="few_features"}'] == SPOILT
    assert samples['events_unscored_total{reason="entity_limit"}'] == 1
    assert samples["events_late_total"] == SPOILT
    assert samples['last_event_timestamp_seconds{partition="3",topic="readings"}'] == EPOCH + LINES - 1
    assert samples['kafka_consumer_lag_records{partition="3",topic="readings"}'] == 0
    assert samples['kafka_consumer_lag_seconds{partition="3",topic="readings"}'] == 0
    assert samples["rebalances_total"] == 1
    assert samples["batch_size_events_sum"] == samples["events_consumed_total"]
    assert samples["scoring_duration_seconds_count"] == samples["batch_size_events_count"]
    unscored = sum(found(samples, "events_unscored_total", ["reason"]).values())
    assert samples["anomaly_score_count"] == samples["events_consumed_total"] - unscored > 1000
    raised = samples['alerts_total{state="raised"}']
    flagged = samples['anomalies_total{severity="warning"}'] + samples['anomalies_total{severity="critical"}']
    within = samples['alerts_suppressed_total{reason="within_incident"}']
    opened = sum(found(samples, "incidents_total", ["severity"]).values())
    still_open = sum(found(samples, "incidents_open", ["severity"]).values())
    resolved = sum(found(samples, "incidents_resolved_total", ["reason"]).values())
    assert opened == resolved + still_open > 2
    assert raised >= opened + resolved
    assert flagged >= opened + within > opened
    assert samples['deliveries_total{code="204",sink="webhook"}'] == raised == delivered
    assert samples['delivery_duration_seconds_count{sink="webhook"}'] == delivered
    assert samples['outbox_alerts{sink="webhook"}'] == 0
    assert samples['model_info{version="1"}'] == 1
    assert samples["entities_warming_up"] == 1
    assert samples["centroids_active"] >= 4
    assert samples["checkpoint_bytes"] > 0
    assert samples['blocked{reason="starting"}'] == 0


def test_what_was_read_is_saved_at_the_end_and_the_next_run_goes_on_there(tmp_path: Path) -> None:
    write(tmp_path, 200)
    for end, rows in ((200, 196), (250, 48)):  # two of the first fifty lines, as of any hundred, yield no row
        write(tmp_path, end)
        with daemon(configuration(tmp_path)) as built:
            run(built)
            assert scrape(built)["events_consumed_total"] == rows
        opened = SqliteStore(tmp_path / "store", keep_rejects=1).open(Partition("readings", 0))
        checkpoint = opened.checkpoint()
        opened.close()
        assert checkpoint is not None
        assert checkpoint.position == Position(end)


def test_reading_waits_for_a_receiver_that_is_away_with_too_many_alerts_and_goes_on_when_it_is_back(
    tmp_path: Path,
) -> None:
    receiver = Receiver()
    receiver.start()
    receiver.stop()
    log, written = MemoryLog(), lines(2 * LINES)
    log.append(PARTITION, *written[:LINES], timestamp=-1)
    source = MemorySource(log)
    source.give(PARTITION)
    waited: list[str] = []

    def look() -> bool:
        reasons = built.health.ready()[1]
        if "webhook" in reasons.get(BlockReason.OUTBOX, "") and not waited:
            waited.append(reasons[BlockReason.OUTBOX])
            log.append(PARTITION, *written[LINES:], timestamp=-1)
            source.finish()
            receiver.start()
        return False

    sinks = [{"kind": "webhook", "url": receiver.url, "direct": True, "allow_networks": LOOPBACK}]
    with daemon(configuration(tmp_path, sinks=sinks, outbox={"max_alerts": 2}), source=source) as built:
        built.service.run(look)
        built.ownership.settle()
        assert built.delivery.drain(30.0)
        samples = scrape(built)
    receiver.stop()
    assert re.match(r"\d+ alerts of readings/3 wait for sink webhook, more than outbox.max_alerts \(2\);", waited[0])
    assert samples["batch_size_events_sum"] > 1.9 * LINES
    assert len({request.id for request in receiver.requests}) == samples['alerts_total{state="raised"}'] > 2


def test_a_receiver_that_hangs_does_not_keep_the_daemon_from_ending(tmp_path: Path) -> None:
    write(tmp_path)
    let_go = threading.Event()
    with Receiver(otherwise=Answer(until=let_go)) as receiver:
        sinks = [
            {"kind": "webhook", "url": receiver.url, "direct": True, "timeout": 3600.0, "allow_networks": LOOPBACK}
        ]
        with daemon(configuration(tmp_path, sinks=sinks)) as built:
            built.service.run(lambda: bool(receiver.requests))
        assert not let_go.is_set()
        let_go.set()
    opened = NotificationFile(tmp_path / "store", keep_given_up=1)
    assert len(opened.due("webhook", float("inf"), 100)) > 0  # what was in flight goes out again
    opened.close()


def test_what_was_begun_is_taken_apart_when_something_cannot_be_built(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where a folder should be", encoding="utf-8")
    before = set(threading.enumerate())  # of an earlier test, they may end meanwhile
    with pytest.raises(StoreError), daemon(configuration(tmp_path)):
        pytest.fail("it was built")
    assert set(threading.enumerate()) <= before


def test_an_operator_may_ask_for_its_status_while_it_runs(tmp_path: Path) -> None:
    log = MemoryLog()
    log.append(PARTITION, *lines(200), timestamp=-1)
    source = MemorySource(log)
    source.give(PARTITION)
    config = configuration(tmp_path)
    told: list[dict[str, Any]] = []

    def ask_for_it() -> None:
        told.append(ask(tmp_path / "store", "status")[0].result)

    asking = threading.Thread(target=ask_for_it)
    with daemon(config, source=source) as built:

        def done() -> bool:
            read = PARTITION in built.ownership.owned and built.ownership.owned[PARTITION].position.offset == 200
            if read and not asking.is_alive() and not told:
                built.health.block(BlockReason.SOURCE, "the broker is away")
                asking.start()
            return bool(told)

        built.service.run(done)
    asking.join(30.0)
    (status,) = told
    assert status | {"version": __version__, "pid": os.getpid(), "source": "file", "preset": "events"} == status
    assert status["store"] == str(tmp_path / "store")
    (partition,) = status["partitions"]
    facts = {"partition": "readings/3", "offset": 200, "row": 0, "lag": 0, "event_time": EPOCH + 199.0}
    model = {"model_version": 1, "entities": 2, "entities_in_memory": 2, "entities_warming_up": 0}
    assert partition | facts | model == partition
    assert partition["controls_waiting"] == []
    assert address.sockets(tmp_path / "store") == [], "it went with the daemon"


def test_metrics_and_health_are_served_while_it_runs(tmp_path: Path) -> None:
    write(tmp_path, 50)
    with daemon(configuration(tmp_path)) as built:
        assert built.address is not None
        run(built)
        answers = {}
        for path in ("/metrics", "/healthz", "/readyz"):
            connection = HTTPConnection(*built.address, timeout=10)
            connection.request("GET", path)
            answers[path] = connection.getresponse().read().decode()
            connection.close()
    assert "detector_events_consumed_total 48.0" in answers["/metrics"]
    assert json.loads(answers["/readyz"])["ready"] is True
    with daemon(configuration(tmp_path, http={"enabled": False})) as built:
        assert built.address is None
