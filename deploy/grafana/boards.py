"""The dashboards, and what marks their graphs."""

from __future__ import annotations

from deploy.grafana.detection import DETECTION
from deploy.grafana.model import MODEL
from deploy.grafana.panels import TOPIC
from deploy.grafana.pipeline import PIPELINE

BOARDS = (DETECTION, PIPELINE, MODEL)


def _versions(when: str = "") -> str:
    return f'count_values by (topic, partition) ("version", detector_model_version{{{TOPIC}}}{when})'


NEW_VERSION = (
    f"{_versions()} unless {_versions(' offset 5m')}"
    f" and on (topic, partition) detector_model_version{{{TOPIC}}} offset 5m"
)
"""Is there for five minutes with each version that came into force; a start is none."""
