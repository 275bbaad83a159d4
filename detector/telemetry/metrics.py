"""Every metric of the daemon. All label sets are bounded; entity ids are never labels."""

from __future__ import annotations

import platform
from collections.abc import Callable
from contextlib import suppress

import prometheus_client
from numpy.typing import ArrayLike
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import choose_encoder

from detector.telemetry.histogram import ArrayHistogram
from detector.types import Partition, Reason, RejectReason, Severity
from detector.version import __version__

_PARTITION = ("topic", "partition")
_REFIT_RESULTS = (
    *("few_rows", "failed", "overrun", "proposed", "adopted"),
    *(f"refused_{reason}" for reason in ("error", "alert_rate", "kept_apart", "few_rows", "superseded")),
)
"""All are there from the start: of a counter that begins with 1, `increase` does not see the first."""
_SHADOW = ("candidate", "model")


class Metrics:
    """The metrics of one daemon, in a registry of their own.

    Each attribute is its metric's name without `detector_` and without `_total`. All may be called from any thread.
    """

    def __init__(self) -> None:
        # One more series per counter with its creation time, which nothing here asks for.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it bare
        self.registry = CollectorRegistry()
        self._add_events()
        self._add_model()
        self._add_alerts()
        self._add_daemon()

    def _add_events(self) -> None:
        self.events_consumed = self._counter("events_consumed", "Rows decoded from records")
        self.events_passed_over = self._counter("events_passed_over", "Events left out by `where`, and tombstones")
        self.events_rejected = self._counter(
            "events_rejected", "Rows that cannot be used, and records without any", "reason"
        )
        for reason in RejectReason:
            self.events_rejected.labels(reason.value)
        self.events_unscored = self._counter("events_unscored", "Rows accepted but not scored", "reason")
        self.transforms_overflowed = self._counter(
            "transforms_overflowed", "Transformed values beyond float32, which counted as missing"
        )
        self.events_late = self._counter("events_late", "Rows behind their partition's event time")
        self.dead_letters = self._counter("dead_letters", "Rejected records handed to the dead letters")
        self.last_event_timestamp_seconds = self._gauge(
            "last_event_timestamp_seconds", "Event time of the partition", *_PARTITION
        )
        self.kafka_consumer_lag_records = self._gauge(
            "kafka_consumer_lag_records", "Records between the position and the end of the log", *_PARTITION
        )
        self.kafka_consumer_lag_seconds = self._gauge(
            "kafka_consumer_lag_seconds", "Age of the last record read, 0 at the end of the log", *_PARTITION
        )
        self.partition_idle_seconds = self._gauge(
            "partition_idle_seconds", "Time without any record, from absence.idle_after on", *_PARTITION
        )
        self.rebalances = self._counter("rebalances", "Times that partitions were assigned or taken away")
        self.scoring_duration_seconds = self._histogram(
            "scoring_duration_seconds",
            "Time to score and learn one batch",
            (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
        )
        self.batch_size_events = ArrayHistogram(
            "detector_batch_size_events", "Rows of one batch", [4**power for power in range(9)]
        )
        self.registry.register(self.batch_size_events)

    def _add_model(self) -> None:
        self.anomalies = self._counter("anomalies", "Rows at or above the threshold", "severity")
        for severity in Severity:
            self.anomalies.labels(severity.value)
        self.anomaly_score = ArrayHistogram(
            "detector_anomaly_score",
            "Scores: -log10 of the expected share of normal events at least this far out",
            [half / 2 for half in range(1, 17)],
        )
        self.registry.register(self.anomaly_score)
        self.centroids_active = self._gauge("centroids_active", "Centroids with mass, over all slots in memory")
        self.centroid_reseeds = self._counter("centroid_reseeds", "Dead centroids placed anew")
        self.entities_active = self._gauge("entities_active", "Slots in memory")
        self.entities_evicted = self._counter("entities_evicted", "Slots moved from memory to the store")
        self.entities_warming_up = self._gauge(
            "entities_warming_up", "Slots that have not learned enough rows to score"
        )
        self.entities_absent = self._gauge("entities_absent", "Entities that have stopped sending")
        self.entities_learning = self._gauge("entities_learning", "Slots in memory by their learning mode", "mode")
        self.rows_quarantined = self._gauge("rows_quarantined", "Rows in quarantine, over all slots in memory")
        self.promotions = self._counter("promotions", "Quarantines that turned out to be a new normal")
        self.refits = self._counter("refits", "Refits, by what became of them and of their candidates", "result")
        for result in _REFIT_RESULTS:
            self.refits.labels(result)
        self.refit_duration_seconds = self._histogram(
            "refit_duration_seconds",
            "Time of a refit's process",
            (1, 2.5, 5, 10, 25, 50, 100, 250, 500),
        )
        self.refit_agreement = self._gauge(
            "refit_agreement", "Share of rows that the last refit and the model judged alike", *_PARTITION
        )
        self.refit_findings = self._gauge(
            "refit_findings",
            "Rows that were not flagged when they came, and that the last refit found anomalous in hindsight",
            *_PARTITION,
        )
        self.candidates_in_shadow = self._gauge(
            "candidates_in_shadow", "Candidates that score the stream beside the model now"
        )
        self.shadow_error = self._gauge(
            "shadow_error",
            "Mean squared distance, in standard deviations, of the last shadow's normal rows to the nearest centroid",
            *_PARTITION,
            "of",
        )
        self.shadow_flagged_ratio = self._gauge(
            "shadow_flagged_ratio",
            "Share of the last shadow's rows that candidate and model flagged",
            *_PARTITION,
            "of",
        )
        self.shadow_kept_apart_rows = self._gauge(
            "shadow_kept_apart_rows",
            "Rows kept apart that the model clearly flags, and those of them that the candidate flags",
            *_PARTITION,
            "of",
        )
        self.model_version = self._gauge(
            "model_version", "The version of the model in force: cold starts, adoptions and ways back", *_PARTITION
        )
        self.model_age_seconds = self._gauge(
            "model_age_seconds", "Event time since the oldest model's version began, over all partitions"
        )
        self.model_info = Info(
            "detector_model", "The newest version in force, of any partition", registry=self.registry
        )
        self.set_model_version(0)

    def _add_alerts(self) -> None:
        self.incidents = self._counter("incidents", "Incidents, by the severity with which they opened", "severity")
        self.incidents_open = self._gauge(
            "incidents_open", "Incidents that are open, by their severity now", "severity"
        )
        for severity in Severity:
            self.incidents.labels(severity.value)
            self.incidents_open.labels(severity.value)
        self.incidents_resolved = self._counter("incidents_resolved", "Incidents that are over", "reason")
        for reason in (Reason.RECOVERED, Reason.NO_DATA, Reason.FORGOTTEN, Reason.RETURNED, Reason.GIVEN_UP):
            self.incidents_resolved.labels(reason.value)
        self.feedback = self._counter("feedback", "What operators said of incidents, or undid", "verdict")
        for verdict in ("normal", "fault", "undone"):
            self.feedback.labels(verdict)
        self.alert_budget_incidents_per_day = self._gauge(
            "alert_budget_incidents_per_day", "Incidents a day that the budget leaves to the partitions of this daemon"
        )
        self.alert_observed_incidents_per_day = self._gauge(
            "alert_observed_incidents_per_day", "Incidents a day of event time that opened of late, over the same"
        )
        self.flagged_target_ratio = self._gauge(
            "flagged_target_ratio", "Share of the rows that may be flagged where nothing is wrong, over the same"
        )
        self.flagged_observed_ratio = self._gauge(
            "flagged_observed_ratio", "Share of the rows that could be flagged that were of late, over the same"
        )
        self.alert_budget_unmet = self._gauge(
            "alert_budget_unmet", "Partitions whose budget or rate cannot be met, by why", "reason"
        )
        self.alerts = self._counter("alerts", "Alerts written to the outbox", "state")
        for state in ("raised", "refused"):
            self.alerts.labels(state)
        self.alerts_suppressed = self._counter(
            "alerts_suppressed",
            "Anomalous rows that raised no alert of their own, and alerts that made no message",
            "reason",
        )
        for cause in ("below_open_after", "within_incident", "silenced", "muted", "unrouted"):
            self.alerts_suppressed.labels(cause)
        self.silences_active = self._gauge("silences_active", "Silences that hold, of the daemon that notifies")
        self.notifications = self._counter(
            "notifications", "Messages written for a sink, by what they are", "sink", "kind"
        )
        self.deliveries = self._counter("deliveries", "Attempts to deliver", "sink", "code")
        self.delivery_duration_seconds = self._histogram(
            "delivery_duration_seconds",
            "Time of one attempt to deliver",
            (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
            "sink",
        )
        self.messages_collapsed = self._counter(
            "messages_collapsed", "Messages that were dropped, as a later one told of the same incident", "sink"
        )
        self.template_errors = self._counter(
            "template_errors", "Messages that went out with the built-in body, as the sink's template failed", "sink"
        )
        self.outbox_alerts = self._gauge("outbox_alerts", "Messages that wait for delivery", "sink")
        self.outbox_oldest_timestamp_seconds = self._gauge(
            "outbox_oldest_timestamp_seconds", "When the oldest waiting message was written, 0 if none", "sink"
        )

    def _add_daemon(self) -> None:
        self.blocked = self._gauge("blocked", "1 while the daemon waits for this", "reason")
        self.loop_age_seconds = self._gauge("loop_age_seconds", "Time since the main loop last turned")
        self.store_free_bytes = self._gauge("store_free_bytes", "Room on the disk of the store")
        self.store_size_bytes = self._gauge("store_size_bytes", "Size of the disk of the store")
        self.checkpoint_duration_seconds = self._histogram(
            "checkpoint_duration_seconds",
            "Time from the copy of the state to its commit",
            (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )
        self.checkpoint_bytes = self._gauge("checkpoint_bytes", "Bytes written by the last checkpoint")
        self.checkpoint_last_success_timestamp_seconds = self._gauge(
            "checkpoint_last_success_timestamp_seconds", "When the last checkpoint was committed"
        )
        self.config_last_reload_successful = self._gauge(
            "config_last_reload_successful", "1 where the last reload (or the start) took the configuration, else 0"
        )
        self.config_last_reload_success_timestamp_seconds = self._gauge(
            "config_last_reload_success_timestamp_seconds", "When the configuration in force was read"
        )
        self.build_info = Info("detector_build", "The version that runs", registry=self.registry)
        self.build_info.info({"version": __version__, "python": platform.python_version()})
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.PlatformCollector(registry=self.registry)
        prometheus_client.GCCollector(registry=self.registry)

    def ask(self, loop_age: Callable[[], float], disk: Callable[[], tuple[float, float]]) -> None:
        """Say whom to ask at each scrape: for the seconds since the loop turned, and for a disk's free bytes and size.

        They are asked rather than told, as a loop that hangs tells nothing.
        """
        self.loop_age_seconds.set_function(loop_age)
        self.store_free_bytes.set_function(lambda: disk()[0])
        self.store_size_bytes.set_function(lambda: disk()[1])

    def observe_scores(self, scores: ArrayLike) -> None:
        """Count the scores of a batch; NaN (not scored) is left out."""
        self.anomaly_score.observe(scores)

    def observe_batch_size(self, rows: int) -> None:
        """Count a batch of so many rows."""
        self.batch_size_events.observe_one(rows)

    def set_model_version(self, version: int) -> None:
        """Say which is the newest version in force; the series of the one before goes away."""
        self.model_info.info({"version": str(version)})

    def set_lag(self, partition: Partition, records: int, seconds: float) -> None:
        """Say how far a partition is behind: `records` to the end of its log, and the age of the last one read."""
        labels = (partition.topic, str(partition.number))
        self.kafka_consumer_lag_records.labels(*labels).set(max(records, 0))
        self.kafka_consumer_lag_seconds.labels(*labels).set(max(seconds, 0.0) if records > 0 else 0.0)

    def set_event_time(self, partition: Partition, event_time: float) -> None:
        """Say how far a partition's event time is, in epoch seconds."""
        self.last_event_timestamp_seconds.labels(partition.topic, str(partition.number)).set(event_time)

    def set_idle(self, partition: Partition, seconds: float) -> None:
        """Say for how long a partition has had no record while the daemon waited for nothing else."""
        self.partition_idle_seconds.labels(partition.topic, str(partition.number)).set(seconds)

    def forget_partition(self, partition: Partition) -> None:
        """Take away the series of a partition that this daemon no longer owns; harmless where there are none."""
        mine = (partition.topic, str(partition.number))
        for gauge in (
            self.last_event_timestamp_seconds,
            self.kafka_consumer_lag_records,
            self.kafka_consumer_lag_seconds,
            self.partition_idle_seconds,
            self.refit_agreement,
            self.refit_findings,
            self.model_version,
        ):
            _remove(gauge, *mine)
        for gauge in (self.shadow_error, self.shadow_flagged_ratio, self.shadow_kept_apart_rows):
            for whose in _SHADOW:
                _remove(gauge, *mine, whose)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return all metrics and their content type: OpenMetrics or Prometheus text, as the Accept header asks."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(f"detector_{name}", documentation, labels, registry=self.registry)

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(f"detector_{name}", documentation, labels, registry=self.registry)

    def _histogram(self, name: str, documentation: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"detector_{name}", documentation, labels, buckets=buckets, registry=self.registry)


def _remove(gauge: Gauge, *labels: str) -> None:
    with suppress(KeyError):  # what older versions of the library raise where there is no such series
        gauge.remove(*labels)
