"""From what happened to incidents, as the model tells it, to messages in the outbox."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.alerts.body import encode
from detector.alerts.ids import alert_id, message_id
from detector.config.detection import Detection
from detector.features.layout import ModelFeature, missing_of, model_features
from detector.models.incident_state import shares_of
from detector.models.progress import Anomaly, Transition
from detector.models.region import Region
from detector.types import Alert, Bool, FeatureShare, Finding, Incident, OutboxEntry, Place, Position, Rows


class Raising:
    """Writes an alert for each transition of an incident, as an outbox entry for `sink`."""

    def __init__(self, sink: str) -> None:
        self._sink = sink

    def raise_(
        self, place: Place, detection: Detection, rows: Rows, transitions: Sequence[Transition], through: Position
    ) -> list[OutboxEntry]:
        """Return the outbox entries of the transitions that lie at or behind `through`, where alerts are complete."""
        entries: list[OutboxEntry] = []
        if not transitions:
            return entries
        units = {feature.name: feature.unit for feature in model_features(detection.events)}
        for transition in transitions:
            if transition.position < through:
                continue
            alert = _alert(place, detection, rows, transition)
            body = encode(alert, units)
            entries.append(OutboxEntry(alert.id, self._sink, "alert", body))
        return entries


def _alert(place: Place, detection: Detection, rows: Rows, transition: Transition) -> Alert:
    features = model_features(detection.events)
    configured = detection.events.features
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
            shares=tuple(feature.share(transition.shares) for feature in features) if len(transition.shares) else (),
            region=_region(features, transition.region),
        ),
        finding=None if transition.anomaly is None else _finding(detection, rows, transition.anomaly),
        names=tuple(feature.name for feature in features),
        sources=tuple("" if feature.feature is None else configured[feature.feature].name for feature in features),
        absent=transition.absent,
        labels=transition.labels,
    )


def _region(features: Sequence[ModelFeature], region: Region | None) -> tuple[tuple[float, float] | None, ...]:
    """Return where the incident's rows lie, feature by feature; a cycle of the time lies nowhere."""
    if region is None:
        return ()
    told: list[tuple[float, float] | None] = []
    for feature in features:
        centre, spread = (float(values[feature.columns[0]]) for values in region)
        told.append((centre, spread) if feature.cycle is None and np.isfinite(centre) else None)
    return tuple(told)


def _subject(transition: Transition) -> str:
    """Return what tells incidents apart that one row told: of anomalies it tells one, of absences any number."""
    if transition.kind == "anomaly":
        return transition.kind
    return transition.kind if transition.entity is None else f"{transition.kind} {transition.entity}"


def _finding(detection: Detection, rows: Rows, anomaly: Anomaly) -> Finding:
    features = shares(detection, anomaly)
    missing = np.isnan(rows.values[anomaly.row])
    return Finding(
        score=anomaly.score,
        at_least=anomaly.at_least,
        distance=anomaly.distance,
        threshold=anomaly.threshold,
        since=anomaly.since,
        model_version=anomaly.model_version,
        block=anomaly.block,
        centroid=anomaly.centroid,
        features=features,
        imputed=_imputed(detection, missing, anomaly),
        missing_share=float(missing.mean()),
        confidence=confidence(detection, missing, features),
    )


def shares(detection: Detection, anomaly: Anomaly) -> tuple[FeatureShare, ...]:
    """Return the features of a row: observed, expected, and their shares of the squared distance, which add up to 1."""
    share = shares_of(anomaly.parts[None])[0]
    told = []
    for feature in model_features(detection.events):
        observed = feature.value(anomaly.observed)
        told.append(
            FeatureShare(
                feature.name,
                None if np.isnan(observed) else observed,
                feature.value(anomaly.expected),
                feature.share(share),
            )
        )
    return tuple(told)


def confidence(detection: Detection, missing: Bool, features: Sequence[FeatureShare]) -> float:
    """Return how far an alert stands on what was observed, in 0..1; `missing` [F] are the configured features.

    Two doubts, multiplied: the features left out might have said otherwise, so it is the share of those observed; and
    what stood in for others may be no longer true, so it is the share of the distance that the observed have.
    """
    sources = (feature.feature for feature in model_features(detection.events))
    unseen = sum(
        feature.share
        for feature, source in zip(features, sources, strict=True)
        if source is not None and missing[source]
    )
    return float(1.0 - missing.mean()) * max(0.0, 1.0 - unseen)


def _imputed(detection: Detection, missing: Bool, anomaly: Anomaly) -> tuple[str, ...]:
    """Return the missing features for which another value stood in: none does before the first was observed."""
    events = detection.events
    filled = missing & ~np.isnan(anomaly.observed[: len(missing)])
    return tuple(
        feature.name
        for feature, stood_in in zip(events.features, filled, strict=True)
        if stood_in and missing_of(events, feature) in {"previous", "zero"}
    )
