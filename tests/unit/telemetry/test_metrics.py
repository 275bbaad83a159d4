from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from detector.models.decision import Reason as Decided
from detector.models.incidents import BELOW_OPEN_AFTER, WITHIN_INCIDENT
from detector.refit.process import Failure
from detector.store.fates import What
from detector.telemetry.histogram import ArrayHistogram
from detector.telemetry.metrics import Metrics
from detector.types import Partition, RejectReason

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
_INFOS = {"model_info": ["version"], "build_info": ["version", "python"]}

NAMES = [
    "events_consumed_total",
    "events_passed_over_total",
    "events_rejected_total{reason}",
    "events_unscored_total{reason}",
    "events_late_total",
    "transforms_overflowed_total",
    "dead_letters_total",
    "last_event_timestamp_seconds{topic,partition}",
    "kafka_consumer_lag_records{topic,partition}",
    "kafka_consumer_lag_seconds{topic,partition}",
    "rebalances_total",
    "blocked{reason}",
    "scoring_duration_seconds",
    "batch_size_events",
    "anomalies_total{severity}",
    "anomaly_score",
    "centroids_active",
    "centroid_reseeds_total",
    "entities_active",
    "entities_evicted_total",
    "entities_warming_up",
    "model_info{version}",
    "checkpoint_duration_seconds",
    "checkpoint_bytes",
    "checkpoint_last_success_timestamp_seconds",
    "alerts_total{state}",
    "incidents_total{severity}",
    "alert_budget_incidents_per_day",
    "alert_observed_incidents_per_day",
    "flagged_target_ratio",
    "flagged_observed_ratio",
    "alert_budget_unmet{reason}",
    "incidents_open{severity}",
    "incidents_resolved_total{reason}",
    "alerts_suppressed_total{reason}",
    "deliveries_total{sink,code}",
    "delivery_duration_seconds{sink}",
    "outbox_alerts{sink}",
    "outbox_oldest_timestamp_seconds{sink}",
    "build_info",
    "loop_age_seconds",
    "store_free_bytes",
    "store_size_bytes",
    "feedback_total{verdict}",
    "rows_quarantined",
    "promotions_total",
    "refits_total{result}",
    "refit_duration_seconds",
    "refit_agreement{topic,partition}",
    "refit_findings{topic,partition}",
    "candidates_in_shadow",
    "shadow_error{topic,partition,of}",
    "shadow_flagged_ratio{topic,partition,of}",
    "shadow_kept_apart_rows{topic,partition,of}",
    "model_version{topic,partition}",
    "notifications_total{sink,kind}",
    "silences_active",
    "model_age_seconds",
    "entities_absent",
    "entities_learning{mode}",
    "config_last_reload_successful",
    "config_last_reload_success_timestamp_seconds",
]


def samples(metrics: Metrics) -> Iterator[Sample]:
    for family in parse_text(metrics.render()[0].decode()):
        yield from family.samples


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    found = [s.value for s in samples(metrics) if s.name == name and s.labels == labels]
    return found[0] if found else None


@pytest.mark.parametrize("promised", NAMES)
def test_every_promised_metric_is_there_under_its_attribute_with_its_labels(promised: str) -> None:
    name, _, labels = promised.rstrip("}").partition("{")
    metrics = Metrics()
    if not labels or name == "model_info":
        metrics.set_model_version(1)
        attribute = getattr(metrics, name.removesuffix("_total"))
        assert attribute is not None
        seen = [s for s in samples(metrics) if s.name in {f"detector_{name}", f"detector_{name}_bucket"}]
        assert seen
        assert {k for s in seen for k in s.labels} == {
            "batch_size_events": {"le"},
            "anomaly_score": {"le"},
            "scoring_duration_seconds": {"le"},
            "checkpoint_duration_seconds": {"le"},
            "refit_duration_seconds": {"le"},
            "build_info": {"version", "python"},
            "model_info": {"version"},
        }.get(name, set())
    else:
        given = dict.fromkeys(labels.split(","), "x")
        child = getattr(metrics, name.removesuffix("_total")).labels(**given)
        child.observe(1) if name == "delivery_duration_seconds" else child.inc()
        suffix = "_count" if name == "delivery_duration_seconds" else ""
        assert value(metrics, f"detector_{name}{suffix}", **given) == 1


def test_the_page_tells_of_every_metric_with_its_labels_and_of_no_other() -> None:
    told = re.findall(
        r"^\| `(detector_\w+)(?:\{([\w,]+)\})?` \| (\w+) \| .+ \|$", PAGE.read_text("utf-8"), re.MULTILINE
    )
    known = set()
    for attribute, metric in vars(Metrics()).items():
        for family in [] if attribute == "registry" else metric.collect():
            labels = tuple(getattr(metric, "_labelnames", ())) or tuple(_INFOS.get(attribute, ()))
            known.add((family.name + ("_total" if family.type == "counter" else ""), ",".join(labels), family.type))
    assert {
        (name.removesuffix("_info") if kind == "info" else name, labels, kind) for name, labels, kind in told
    } == known
    assert len(told) == len(known)


def test_every_result_of_a_refit_is_there_from_the_start() -> None:
    decided = {reason if reason is Decided.ADOPTED else f"refused_{reason}" for reason in Decided}
    results = {sample.labels["result"] for sample in samples(Metrics()) if sample.name == "detector_refits_total"}
    assert results == {"few_rows", "proposed", *Failure, *decided}


def test_every_reason_why_an_alert_was_suppressed_is_there_from_the_start() -> None:
    reasons = {s.labels["reason"] for s in samples(Metrics()) if s.name == "detector_alerts_suppressed_total"}
    assert reasons == {BELOW_OPEN_AFTER, WITHIN_INCIDENT, *What} - {What.TOLD}


def test_each_daemon_has_metrics_of_its_own() -> None:
    first, second = Metrics(), Metrics()
    first.events_consumed.inc(5)
    assert value(first, "detector_events_consumed_total") == 5
    assert value(second, "detector_events_consumed_total") == 0


def test_every_reject_reason_is_there_from_the_start() -> None:
    metrics = Metrics()
    assert [value(metrics, "detector_events_rejected_total", reason=r.value) for r in RejectReason] == [0.0] * len(
        RejectReason
    )


def test_process_platform_and_garbage_collector_are_there() -> None:
    names = {s.name for s in samples(Metrics())}
    assert {"process_resident_memory_bytes", "python_info", "python_gc_collections_total"} <= names


def test_only_the_current_model_version_has_a_series() -> None:
    metrics = Metrics()
    assert [s.labels for s in samples(metrics) if s.name == "detector_model_info"] == [{"version": "0"}]
    metrics.set_model_version(1)
    metrics.set_model_version(2)
    assert [s.labels for s in samples(metrics) if s.name == "detector_model_info"] == [{"version": "2"}]


def test_lag_in_seconds_is_zero_at_the_end_of_the_log() -> None:
    metrics = Metrics()
    labels = {"topic": "t", "partition": "3"}
    metrics.set_lag(Partition("t", 3), 7, 1.5)
    assert value(metrics, "detector_kafka_consumer_lag_seconds", **labels) == 1.5
    metrics.set_lag(Partition("t", 3), 0, 1.5)
    assert value(metrics, "detector_kafka_consumer_lag_records", **labels) == 0
    assert value(metrics, "detector_kafka_consumer_lag_seconds", **labels) == 0


def test_a_partition_that_leaves_takes_its_series_along_and_no_other_s() -> None:
    metrics = Metrics()
    for number in (0, 1):
        metrics.set_lag(Partition("t", number), 7, 1.5)
        metrics.set_event_time(Partition("t", number), 1e9)
        for whose in ("candidate", "model"):
            metrics.shadow_error.labels("t", str(number), whose).set(1.0)
    metrics.forget_partition(Partition("t", 0))
    metrics.forget_partition(Partition("t", 0))
    left = [s for s in samples(metrics) if "partition" in s.labels]
    assert {s.labels["partition"] for s in left} == {"1"}
    assert len(left) == 5


def test_scores_are_counted_as_the_library_s_own_histogram_counts_them() -> None:
    scores = np.concatenate([np.random.default_rng(0).exponential(2.0, 1000), np.arange(0, 9, 0.5), [-1.0]])
    metrics = Metrics()
    metrics.observe_scores(scores[:500])
    metrics.observe_scores(scores[500:])
    registry = CollectorRegistry()
    peer = Histogram("detector_anomaly_score", "x", buckets=np.arange(0.5, 8.1, 0.5).tolist(), registry=registry)
    for score in scores:
        peer.observe(score)
    ours = {(s.name, *s.labels.values()): s.value for s in samples(metrics) if s.name.startswith("detector_anomaly_")}
    theirs = {(s.name, *s.labels.values()): s.value for family in registry.collect() for s in family.samples}
    theirs = {key: v for key, v in theirs.items() if not key[0].endswith("_created")}
    assert ours.keys() == theirs.keys()
    assert ours == pytest.approx(theirs)
    assert len(ours) == 16 + 1 + 2


def test_values_that_are_not_finite_are_left_out_of_a_histogram() -> None:
    histogram = ArrayHistogram("x", "x", [1.0])
    histogram.observe([math.nan, math.inf, 0.5])
    histogram.observe([])
    (family,) = histogram.collect()
    assert [s.value for s in family.samples] == [1, 1, 1, 0.5]


def test_batch_sizes_are_counted() -> None:
    metrics = Metrics()
    for rows in (256, 1, 2):
        metrics.observe_batch_size(rows)
    assert value(metrics, "detector_batch_size_events_count") == 3
    assert value(metrics, "detector_batch_size_events_bucket", le="1.0") == 1
    assert value(metrics, "detector_batch_size_events_bucket", le="256.0") == 3


def test_metrics_come_as_openmetrics_where_it_is_asked_for() -> None:
    metrics = Metrics()
    metrics.set_model_version(1)
    metrics.observe_scores([1.0])
    body, content_type = metrics.render("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in parse_openmetrics(body.decode())}  # type: ignore[no-untyped-call]  # the library leaves it bare
    assert {"detector_model", "detector_anomaly_score", "detector_events_consumed"} <= names


def test_metrics_come_as_text_otherwise() -> None:
    assert Metrics().render("*/*")[1].startswith("text/plain")
