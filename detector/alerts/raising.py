"""From an anomaly of the model to the alert in the outbox. Incidents will take this module's place in the pipeline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.alerts.body import KIND, encode
from detector.alerts.ids import alert_id
from detector.config.detection import Detection
from detector.models.progress import Anomaly
from detector.types import Alert, FeatureShare, OutboxEntry, Place, Position, Rows


class Raising:
    """Writes one alert for each reported anomaly, one outbox entry for each sink."""

    def __init__(self, sinks: Sequence[str]) -> None:
        self._sinks = tuple(sinks)

    def raise_(
        self, place: Place, detection: Detection, rows: Rows, anomalies: Sequence[Anomaly], through: Position
    ) -> list[OutboxEntry]:
        """Return the outbox entries of the anomalies that lie at or behind `through`, where alerts are complete."""
        entries: list[OutboxEntry] = []
        units = {feature.name: feature.unit for feature in detection.events.features}
        for anomaly in anomalies:
            position = Position(int(rows.offsets[anomaly.row]), int(rows.rows[anomaly.row]))
            if position < through:
                continue
            alert = _alert(place, detection, rows, anomaly)
            body = encode(alert, units)
            entries += [OutboxEntry(alert.id, sink, KIND, body) for sink in self._sinks]
        return entries


def _alert(place: Place, detection: Detection, rows: Rows, anomaly: Anomaly) -> Alert:
    position = Position(int(rows.offsets[anomaly.row]), int(rows.rows[anomaly.row]))
    critical = anomaly.score >= anomaly.threshold + detection.alerting.critical_decades
    return Alert(
        id=alert_id(place.topic_id, place.partition, position, KIND),
        partition=place.partition,
        position=position,
        entity=rows.entities[anomaly.row] if rows.entities is not None else None,
        time=float(rows.times[anomaly.row]),
        score=anomaly.score,
        at_least=anomaly.at_least,
        distance=anomaly.distance,
        threshold=anomaly.threshold,
        severity="critical" if critical else "warning",
        model_version=anomaly.model_version,
        block=anomaly.block,
        centroid=anomaly.centroid,
        features=shares(detection, rows, anomaly),
    )


def shares(detection: Detection, rows: Rows, anomaly: Anomaly) -> tuple[FeatureShare, ...]:
    """Return the features of a row: observed, expected, and their shares of the squared distance, which add up to 1."""
    observed = rows.values[anomaly.row]
    parts = anomaly.parts.astype(np.float64)
    share = parts / max(parts.sum(), np.finfo(np.float64).tiny)
    return tuple(
        FeatureShare(
            feature.name,
            None if np.isnan(observed[d]) else float(observed[d]),
            float(anomaly.expected[d]),
            float(share[d]),
        )
        for d, feature in enumerate(detection.events.features)
    )
