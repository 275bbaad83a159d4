"""The dashboard *Model*."""

from __future__ import annotations

from deploy.grafana.panels import ON, TOPIC, Board, Panel, Query, by_partition, gauge, quantiles, rate, within


def _shadow(title: str, description: str, unit: str, metric: str) -> Panel:
    """Show candidate and model side by side, as the last shadow of each partition measured them."""
    query = f"max by (topic, partition, of) (detector_shadow_{metric}{{{TOPIC}}})"
    return Panel(title, description, unit, [Query(query, "{{of}} {{topic}}/{{partition}}")])


MODEL = Board(
    "model",
    "detector: model",
    "What has it learned, and is that still so?",
    [
        gauge("Centroids", "Centroids with mass, over all entities in memory.", "centroids_active"),
        Panel(
            "Dead centroids placed anew",
            "Many for long: more centroids than the data have clusters.",
            "cps",
            [Query(rate("centroid_reseeds_total", "instance"), "{{instance}}")],
        ),
        Panel(
            "Do scores drift?",
            "Median and 99 % of the scores: 0.3 and 2 where the model fits.",
            "short",
            quantiles("anomaly_score"),
        ),
        gauge(
            "Rows in quarantine", "Far out, and not learned until they turn out dense and lasting.", "rows_quarantined"
        ),
        Panel(
            "What became a new normal?",
            "Quarantines that were dense and lasted, within the last hour.",
            "short",
            within("1h", "promotions_total", "instance"),
        ),
        gauge("How do entities learn?", "Entities in memory by their learning mode.", "entities_learning", "mode"),
        Panel(
            "Age of the model",
            "Event time since the oldest version in force began.",
            "s",
            [Query(f"max by (instance) (detector_model_age_seconds{{{ON}}})", "{{instance}}")],
        ),
        Panel(
            "Which version scores?",
            "It rises with each cold start, adopted candidate and way back.",
            "short",
            by_partition("model_version"),
        ),
        Panel(
            "What became of refits?",
            "Within the last day: proposed, adopted, refused, failed.",
            "short",
            within("1d", "refits_total", "result"),
        ),
        Panel(
            "How long does a refit take?",
            "Within the last day: from the start of its process to its result.",
            "s",
            quantiles("refit_duration_seconds", span="1d"),
        ),
        gauge(
            "Candidates in the shadow",
            "They score the stream beside the model; the four panels that follow tell what came of the last ones.",
            "candidates_in_shadow",
        ),
        Panel(
            "Do refit and model agree?",
            "Share of the window's rows that both judge alike; those in which they differ: `detector model list`.",
            "percentunit",
            by_partition("refit_agreement"),
        ),
        Panel(
            "What did refits find in hindsight?",
            "Rows that were not flagged when they came, by the last refit; `detector incidents list` tells them.",
            "short",
            by_partition("refit_findings"),
        ),
        _shadow(
            "Who describes normal rows better, candidate or model?",
            "Mean squared distance to the nearest centroid; a candidate with the higher one is refused.",
            "short",
            "error",
        ),
        _shadow(
            "Who flags more rows, candidate or model?",
            "Share of the shadow's rows; a candidate that flags many more is refused.",
            "percentunit",
            "flagged_ratio",
        ),
        _shadow(
            "Does the candidate still flag what the model does?",
            "Rows kept apart that the model clearly flags, and those of them that the candidate flags: with less than "
            "nine in ten it is refused.",
            "short",
            "kept_apart_rows",
        ),
        Panel(
            "Entities moved to the store",
            "Not seen for `entities.evict_after`.",
            "cps",
            [Query(rate("entities_evicted_total", "instance"), "{{instance}}")],
        ),
    ],
)
