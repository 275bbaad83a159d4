"""What the dashboards show: panels as data, with the PromQL of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ON = 'instance=~"$instance"'
_TOPIC = f'{ON}, topic=~"$topic"'


@dataclass(frozen=True)
class Query:
    """One PromQL expression, and what its series are called."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One panel. `unit` is Grafana's name of it; `heat`: the query's buckets are drawn as a heat map."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    heat: bool = False


@dataclass(frozen=True)
class Board:
    """One dashboard."""

    name: str
    title: str
    description: str
    panels: Sequence[Panel]


def _gauge(title: str, description: str, metric: str, by: str = "instance") -> Panel:
    return Panel(title, description, "short", [Query(f"sum by ({by}) (detector_{metric}{{{ON}}})", f"{{{{{by}}}}}")])


def _rate(metric: str, by: str, where: str = ON) -> str:
    return f"sum by ({by}) (rate(detector_{metric}{{{where}}}[$__rate_interval]))"


def _quantile(share: float, metric: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {_rate(f'{metric}_bucket', labels)})"


def _quantiles(metric: str, by: str = "") -> list[Query]:
    tail = f" {{{{{by}}}}}" if by else ""
    return [Query(_quantile(share, metric, by), f"{name}{tail}") for share, name in ((0.5, "median"), (0.99, "99 %"))]


PIPELINE = Board(
    "pipeline",
    "detector: pipeline",
    "Does it keep up, and does what it says arrive?",
    [
        Panel(
            "Events per second",
            "Rows decoded and taken, by daemon.",
            "cps",
            [Query(_rate("events_consumed_total", "instance"), "{{instance}}")],
        ),
        Panel(
            "What does it wait for?",
            "1 while the daemon stands still for this reason; /readyz tells the particulars.",
            "bool_yes_no",
            [Query(f"max by (reason) (detector_blocked{{{ON}}})", "{{reason}}")],
        ),
        Panel(
            "How many records is it behind?",
            "Records between the position and the end of the log.",
            "short",
            [
                Query(
                    f"max by (topic, partition) (detector_kafka_consumer_lag_records{{{_TOPIC}}})",
                    "{{topic}}/{{partition}}",
                )
            ],
        ),
        Panel(
            "How old is what it reads?",
            "Age of the last record read; 0 at the end of the log.",
            "s",
            [
                Query(
                    f"max by (topic, partition) (detector_kafka_consumer_lag_seconds{{{_TOPIC}}})",
                    "{{topic}}/{{partition}}",
                )
            ],
        ),
        Panel(
            "How long does a batch take?",
            "Time to decode, score and learn one batch.",
            "s",
            _quantiles("scoring_duration_seconds"),
        ),
        Panel(
            "Rows in a batch",
            "Small while it keeps up, large while it catches up.",
            "short",
            _quantiles("batch_size_events"),
        ),
        Panel(
            "Which events cannot be used?",
            "Rejects by reason; the dead letters hold the original bytes.",
            "cps",
            [Query(_rate("events_rejected_total", "reason"), "{{reason}}")],
        ),
        Panel(
            "Which events are not scored?",
            "Accepted rows without a score, by reason.",
            "cps",
            [Query(_rate("events_unscored_total", "reason"), "{{reason}}")],
        ),
        Panel(
            "Age of the last checkpoint",
            "A restart would read again what came since.",
            "s",
            [Query(f"time() - (detector_checkpoint_last_success_timestamp_seconds{{{ON}}} > 0)", "{{instance}}")],
        ),
        Panel(
            "How long does a checkpoint take?",
            "From the copy of the state to its commit.",
            "s",
            _quantiles("checkpoint_duration_seconds"),
        ),
        Panel(
            "Size of a checkpoint",
            "Bytes that the last one wrote: only what changed.",
            "bytes",
            [Query(f"detector_checkpoint_bytes{{{ON}}}", "{{instance}}")],
        ),
        _gauge("Messages that wait for a receiver", "Alerts in the outbox, by sink.", "outbox_alerts", "sink"),
        Panel(
            "How long has the oldest message waited?",
            "0 where none waits.",
            "s",
            [
                Query(
                    f"max by (sink) ((time() - detector_outbox_oldest_timestamp_seconds{{{ON}}})"
                    f" * (detector_outbox_oldest_timestamp_seconds{{{ON}}} > bool 0))",
                    "{{sink}}",
                )
            ],
        ),
        Panel(
            "What do receivers answer?",
            "Attempts to deliver, by sink and answer.",
            "cps",
            [Query(_rate("deliveries_total", "sink, code"), "{{sink}} {{code}}")],
        ),
        Panel(
            "How long do receivers take?",
            "Time of one attempt to deliver.",
            "s",
            _quantiles("delivery_duration_seconds", "sink"),
        ),
        Panel(
            "Memory",
            "Resident memory of the daemon.",
            "bytes",
            [Query(f"process_resident_memory_bytes{{{ON}}}", "{{instance}}")],
        ),
        Panel(
            "Processor",
            "Cores in use.",
            "short",
            [Query(f"rate(process_cpu_seconds_total{{{ON}}}[$__rate_interval])", "{{instance}}")],
        ),
        Panel(
            "Room on the disk of the store",
            "When there is none left, reading stops.",
            "percentunit",
            [Query(f"detector_store_free_bytes{{{ON}}} / detector_store_size_bytes{{{ON}}}", "{{instance}}")],
        ),
    ],
)

DETECTION = Board(
    "detection",
    "detector: detection",
    "What is out of the ordinary, and how often?",
    [
        _gauge(
            "Open incidents",
            "One fault of an entity is one incident; by its severity now.",
            "incidents_open",
            "severity",
        ),
        Panel(
            "Is the budget kept?",
            "Incidents a day that were asked for, and that opened of late; 0 asked for where a rate is given instead.",
            "short",
            [
                Query(f"sum(detector_alert_budget_incidents_per_day{{{ON}}})", "asked for"),
                Query(f"sum(detector_alert_observed_incidents_per_day{{{ON}}})", "observed"),
            ],
        ),
        Panel(
            "Incidents that opened",
            "By the severity with which they opened.",
            "cps",
            [Query(_rate("incidents_total", "severity"), "{{severity}}")],
        ),
        Panel(
            "How did incidents end?",
            "Recovered, without further data, or forgotten.",
            "cps",
            [Query(_rate("incidents_resolved_total", "reason"), "{{reason}}")],
        ),
        Panel(
            "What did operators say of incidents?",
            "Feedback by verdict: such rows are normal, or a fault; and what was undone.",
            "short",
            [Query(f"sum by (verdict) (detector_feedback_total{{{ON}}})", "{{verdict}}")],
        ),
        Panel(
            "Anomalous rows",
            "Rows at or above the threshold, by severity.",
            "cps",
            [Query(_rate("anomalies_total", "severity"), "{{severity}}")],
        ),
        Panel(
            "Scores",
            "How many rows had which score; 4 is 1 in 10,000.",
            "short",
            [Query(f"sum by (le) (increase(detector_anomaly_score_bucket{{{ON}}}[$__rate_interval]))", "{{le}}")],
            heat=True,
        ),
        Panel(
            "Alerts written",
            "Messages that went to the outbox, by state.",
            "cps",
            [Query(_rate("alerts_total", "state"), "{{state}}")],
        ),
        Panel(
            "Anomalous rows that raised nothing",
            "By reason.",
            "cps",
            [Query(_rate("alerts_suppressed_total", "reason"), "{{reason}}")],
        ),
        _gauge("Entities in memory", "Those not seen for a while are in the store alone.", "entities_active"),
        _gauge("Entities warming up", "They have not learned enough rows to alert.", "entities_warming_up"),
        _gauge("Absent entities", "They used to speak and have stopped.", "entities_absent"),
        Panel(
            "Partitions without records",
            "Time without any record while the daemon waited for nothing else.",
            "s",
            [
                Query(
                    f"max by (topic, partition) (detector_partition_idle_seconds{{{_TOPIC}}})",
                    "{{topic}}/{{partition}}",
                )
            ],
        ),
    ],
)

MODEL = Board(
    "model",
    "detector: model",
    "What has it learned, and is that still so?",
    [
        _gauge("Centroids", "Centroids with mass, over all entities in memory.", "centroids_active"),
        Panel(
            "Dead centroids placed anew",
            "Many for long: more centroids than the data have clusters.",
            "cps",
            [Query(_rate("centroid_reseeds_total", "instance"), "{{instance}}")],
        ),
        Panel(
            "Do scores drift?",
            "Median and 99 % of the scores: 0.3 and 2 where the model fits.",
            "short",
            _quantiles("anomaly_score"),
        ),
        _gauge(
            "Rows in quarantine", "Far out, and not learned until they turn out dense and lasting.", "rows_quarantined"
        ),
        Panel(
            "What became a new normal?",
            "Quarantines that were dense and lasted.",
            "cps",
            [Query(_rate("promotions_total", "instance"), "{{instance}}")],
        ),
        _gauge("How do entities learn?", "Entities in memory by their learning mode.", "entities_learning", "mode"),
        Panel(
            "Age of the model",
            "Event time since the oldest version in force began.",
            "s",
            [Query(f"max by (instance) (detector_model_age_seconds{{{ON}}})", "{{instance}}")],
        ),
        Panel(
            "What became of refits?",
            "Refits and their candidates: proposed, adopted, refused, failed.",
            "cps",
            [Query(_rate("refits_total", "result"), "{{result}}")],
        ),
        Panel(
            "How long does a refit take?",
            "From the start of its process to its result.",
            "s",
            _quantiles("refit_duration_seconds"),
        ),
        Panel(
            "Entities moved to the store",
            "Not seen for `entities.evict_after`.",
            "cps",
            [Query(_rate("entities_evicted_total", "instance"), "{{instance}}")],
        ),
    ],
)

BOARDS = (DETECTION, PIPELINE, MODEL)
