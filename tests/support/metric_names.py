"""The names under which Prometheus knows the metrics of the daemon."""

from __future__ import annotations

from detector.telemetry.metrics import Metrics

_SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"], "info": ["_info"]}


def metric_names(metrics: Metrics) -> set[str]:
    """Return the names of all series, with their suffixes."""
    families = list(metrics.registry.collect())
    return {family.name + suffix for family in families for suffix in _SUFFIXES.get(family.type, [""])}
