"""The dashboard *Detection*."""

from __future__ import annotations

from deploy.grafana.panels import ON, Board, Panel, Query, by_partition, gauge, rate, within

DETECTION = Board(
    "detection",
    "detector: detection",
    "What is out of the ordinary, and how often?",
    [
        gauge(
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
            "What share of rows is flagged?",
            "Of rows that could be: the share that may be where nothing is wrong, by rate or budget, and that was.",
            "percentunit",
            [
                Query(f"avg(detector_flagged_target_ratio{{{ON}}})", "may be"),
                Query(f"avg(detector_flagged_observed_ratio{{{ON}}})", "was, of late"),
            ],
        ),
        gauge(
            "Can the budget be met?",
            "Partitions where it cannot, by why; the runbook (DetectorOverBudget) says what to do.",
            "alert_budget_unmet",
            "reason",
        ),
        Panel(
            "Incidents that opened",
            "Within the last hour, by the severity with which they opened.",
            "short",
            within("1h", "incidents_total", "severity"),
        ),
        Panel(
            "How did incidents end?",
            "Within the last hour: recovered, without further data, or forgotten.",
            "short",
            within("1h", "incidents_resolved_total", "reason"),
        ),
        Panel(
            "What did operators say of incidents?",
            "Feedback within the last day: such rows are normal, or a fault; and what was undone.",
            "short",
            within("1d", "feedback_total", "verdict"),
        ),
        Panel(
            "Anomalous rows",
            "Rows at or above the threshold, by severity.",
            "cps",
            [Query(rate("anomalies_total", "severity"), "{{severity}}")],
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
            "Within the last hour: raised, and those that no receiver will get any more.",
            "short",
            within("1h", "alerts_total", "state"),
        ),
        Panel(
            "Messages written for receivers",
            "Within the last hour, by sink and kind: what grouping, silences and repeats made of the alerts.",
            "short",
            [
                Query(
                    f"sum by (sink, kind) (increase(detector_notifications_total{{{ON}}}[1h]))",
                    "{{sink}} {{kind}}",
                )
            ],
        ),
        Panel(
            "Silences in force",
            "What they match is counted, and told to nobody.",
            "short",
            [Query(f"max by (instance) (detector_silences_active{{{ON}}})", "{{instance}}")],
        ),
        Panel(
            "Anomalous rows that raised nothing",
            "By reason.",
            "cps",
            [Query(rate("alerts_suppressed_total", "reason"), "{{reason}}")],
        ),
        gauge("Entities in memory", "Those not seen for a while are in the store alone.", "entities_active"),
        gauge("Entities warming up", "They have not learned enough rows to alert.", "entities_warming_up"),
        gauge("Absent entities", "They used to speak and have stopped.", "entities_absent"),
        Panel(
            "Partitions without records",
            "Time without any record while the daemon waited for nothing else, from absence.idle_after on.",
            "s",
            by_partition("partition_idle_seconds"),
        ),
    ],
)
