"""The dashboard *Pipeline*."""

from __future__ import annotations

from deploy.grafana.panels import ON, Board, Panel, Query, by_partition, gauge, quantiles, rate

PIPELINE = Board(
    "pipeline",
    "detector: pipeline",
    "Does it keep up, and does what it says arrive?",
    [
        Panel(
            "Events per second",
            "Rows decoded and taken, by daemon.",
            "cps",
            [Query(rate("events_consumed_total", "instance"), "{{instance}}")],
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
            by_partition("kafka_consumer_lag_records"),
        ),
        Panel(
            "How old is what it reads?",
            "Age of the last record read; 0 at the end of the log.",
            "s",
            by_partition("kafka_consumer_lag_seconds"),
        ),
        Panel(
            "How long does a batch take?",
            "Time to decode, score and learn one batch.",
            "s",
            quantiles("scoring_duration_seconds"),
        ),
        Panel(
            "Rows in a batch",
            "Small while it keeps up, large while it catches up.",
            "short",
            quantiles("batch_size_events"),
        ),
        Panel(
            "Which events cannot be used?",
            "Rejects by reason; the dead letters hold the original bytes.",
            "cps",
            [Query(rate("events_rejected_total", "reason"), "{{reason}}")],
        ),
        Panel(
            "Which events are not scored?",
            "Accepted rows without a score, by reason.",
            "cps",
            [Query(rate("events_unscored_total", "reason"), "{{reason}}")],
        ),
        Panel(
            "Late rows",
            "Rows behind their partition's event time.",
            "cps",
            [Query(rate("events_late_total", "instance"), "{{instance}}")],
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
            quantiles("checkpoint_duration_seconds"),
        ),
        Panel(
            "Size of a checkpoint",
            "Bytes that the last one wrote: only what changed.",
            "bytes",
            [Query(f"detector_checkpoint_bytes{{{ON}}}", "{{instance}}")],
        ),
        gauge("Messages that wait for a receiver", "Alerts in the outbox, by sink.", "outbox_alerts", "sink"),
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
            [Query(rate("deliveries_total", "sink, code"), "{{sink}} {{code}}")],
        ),
        Panel(
            "How long do receivers take?",
            "Time of one attempt to deliver.",
            "s",
            quantiles("delivery_duration_seconds", "sink"),
        ),
        Panel(
            "When did the main loop last turn?",
            "Time since; it hangs after a minute.",
            "s",
            [Query(f"max by (instance) (detector_loop_age_seconds{{{ON}}})", "{{instance}}")],
        ),
        Panel(
            "Is the configuration in force that of the file?",
            "No: the last reload was refused, and the log says why.",
            "bool_yes_no",
            [Query(f"min by (instance) (detector_config_last_reload_successful{{{ON}}})", "{{instance}}")],
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
