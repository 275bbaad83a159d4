"""From what happened to incidents, as the model tells it, to messages in the outbox."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.alerts.body import encode
from detector.alerts.ids import alert_id, message_id
from detector.config.detection import Detection
from detector.models.incident_state import shares_of
from detector.models.progress import Anomaly, Transition
from detector.types import Alert, FeatureShare, Finding, Incident, OutboxEntry, Place, Position, Rows


class Raising:
    """Writes an alert for each transition of an incident, one outbox entry for each sink."""

    def __init__(self, sinks: Sequence[str]) -> None:
        self._sinks = tuple(sinks)

    def raise_(
        self, place: Place, detection: Detection, rows: Rows, transitions: Sequence[Transition], through: Position
    ) -> list[OutboxEntry]:
        """Return the outbox entries of the transitions that lie at or behind `through`, where alerts are complete."""
        entries: list[OutboxEntry] = []
        units = {feature.name: feature.unit for feature in detection.events.features}
        for transition in transitions:
            if transition.position < through:
                continue
            alert = _alert(place, detection, rows, transition)
            body = encode(alert, units)
            entries += [OutboxEntry(alert.id, sink, "alert", body) for sink in self._sinks]
        return entries


def _alert(place: Place, detection: Detection, rows: Rows, transition: Transition) -> Alert:
    incident = alert_id(place.topic_id, place.partition, transition.first, _subject(transition))
    return Alert(
        id=message_id(incident, transition.sequence),
        kind=transition.kind,
        phase=transition.phase,
        reason=transition.reason,
        severity=transition.severity,
        partition=place.partition,
        position=transition.position,
        entity=transition.entity,
        time=transition.time,
        incident=Incident(
            id=incident,
            sequence=transition.sequence,
            start=transition.start,
            duration=transition.duration,
            peak=transition.peak,
            peak_at_least=transition.peak_at_least,
            count=transition.count,
            shares=tuple(transition.shares.tolist()),
        ),
        finding=None if transition.anomaly is None else _finding(detection, rows, transition.anomaly),
        names=tuple(feature.name for feature in detection.events.features),
        absent=transition.absent,
    )


def _subject(transition: Transition) -> str:
    """Return what tells incidents apart that one row told: of anomalies it tells one, of absences any number."""
    if transition.kind == "anomaly":
        return transition.kind
    return transition.kind if transition.entity is None else f"{transition.kind} {transition.entity}"


def _finding(detection: Detection, rows: Rows, anomaly: Anomaly) -> Finding:
    return Finding(
        score=anomaly.score,
        at_least=anomaly.at_least,
        distance=anomaly.distance,
        threshold=anomaly.threshold,
        since=anomaly.since,
        model_version=anomaly.model_version,
        block=anomaly.block,
        centroid=anomaly.centroid,
        features=shares(detection, rows, anomaly),
    )


def shares(detection: Detection, rows: Rows, anomaly: Anomaly) -> tuple[FeatureShare, ...]:
    """Return the features of a row: observed, expected, and their shares of the squared distance, which add up to 1."""
    observed = rows.values[anomaly.row]
    share = shares_of(anomaly.parts[None])[0]
    return tuple(
        FeatureShare(
            feature.name,
            None if np.isnan(observed[d]) else float(observed[d]),
            float(anomaly.expected[d]),
            float(share[d]),
        )
        for d, feature in enumerate(detection.events.features)
    )
