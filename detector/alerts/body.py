"""The body of an alert: JSON as `alert.schema.json` describes it, the same bytes for the same alert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from detector.alerts.words import rate_in_words, score_in_words, summary

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.types import Alert, Finding, Incident

SCHEMA_VERSION = 2
"""Raised when a reader of the old one could misread a body; new fields alone do not raise it."""

_OF_THE_ROW = (
    "score",
    "at_least",
    "score_words",
    "rate",
    "rate_words",
    "threshold",
    "distance",
    "model_version",
    "block",
    "centroid",
    "since",
    "since_epoch",
    "confidence",
    "missing_share",
    "imputed",
)
"""Fields that are null where no row of the entity is at hand."""

_PEAK = ("peak_score", "peak_at_least", "peak_score_words", "peak_rate_words")
"""Fields that are null where no rows are judged."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)
_NO_UNITS: Mapping[str, str] = MappingProxyType({})
_encoder = msgspec.json.Encoder()


def encode(alert: Alert, units: Mapping[str, str] = _NO_UNITS) -> bytes:
    """Return the alert as JSON; `units` are the configured ones by feature name ("" = none)."""
    body = {
        "schema": SCHEMA_VERSION,
        "kind": alert.kind,
        "id": alert.id,
        "phase": alert.phase,
        "reason": alert.reason,
        "severity": alert.severity,
        "summary": summary(alert, units),
        "entity": alert.entity,
        "labels": alert.labels,
        "time": _rfc3339(alert.time),
        "epoch": alert.time,
        "topic": alert.partition.topic,
        "partition": alert.partition.number,
        "offset": alert.position.offset,
        "row": alert.position.row,
        "incident": _incident(alert.incident, judged=alert.kind == "anomaly"),
        "absent": list(alert.absent),
        **_finding(alert.finding),
        "features": _features(alert, units),
    }
    return _encoder.encode(body)


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of what `encode` writes."""
    document: dict[str, Any] = msgspec.json.decode(files(__package__).joinpath("alert.schema.json").read_bytes())
    return document


def _incident(incident: Incident, *, judged: bool) -> dict[str, Any]:
    """Return the incident; an absence has no rows that could be `judged`."""
    words = {"at_least": incident.peak_at_least}
    peak = (
        incident.peak,
        incident.peak_at_least,
        score_in_words(incident.peak, **words),
        rate_in_words(incident.peak, **words),
    )
    return {
        "id": incident.id,
        "sequence": incident.sequence,
        "start": _rfc3339(incident.start),
        "start_epoch": incident.start,
        "duration": incident.duration,
        **(dict(zip(_PEAK, peak, strict=True)) if judged else dict.fromkeys(_PEAK)),
        "count": incident.count,
    }


def _finding(finding: Finding | None) -> dict[str, Any]:
    if finding is None:
        return dict.fromkeys(_OF_THE_ROW)
    of_the_row = (
        finding.score,
        finding.at_least,
        score_in_words(finding.score, at_least=finding.at_least),
        10.0**-finding.score,
        rate_in_words(finding.score, at_least=finding.at_least),
        finding.threshold,
        finding.distance,
        finding.model_version,
        finding.block,
        finding.centroid,
        None if finding.since is None else _rfc3339(finding.since),
        finding.since,
        finding.confidence,
        finding.missing_share,
        finding.imputed,
    )
    return dict(zip(_OF_THE_ROW, of_the_row, strict=True))


def _features(alert: Alert, units: Mapping[str, str]) -> list[dict[str, Any]]:
    told = alert.incident.shares if any(alert.incident.shares) else [None] * len(alert.names)
    region = alert.incident.region or [None] * len(alert.names)
    found = alert.finding.features if alert.finding else [None] * len(alert.names)
    return [
        {
            "name": name,
            **({"feature": source} if source else {}),
            "observed": feature.observed if feature else None,
            "expected": feature.expected if feature else None,
            "direction": feature.direction if feature else None,
            "share": feature.share if feature else None,
            "incident_share": share,
            "incident_mean": lies[0] if lies else None,
            "incident_spread": lies[1] if lies else None,
            **({"unit": units[name]} if units.get(name) else {}),
        }
        for name, source, feature, share, lies in zip(alert.names, alert.sources, found, told, region, strict=True)
    ]


def _rfc3339(epoch: float) -> str:
    """Return the time in UTC, to the microsecond; a time outside the years 1 to 9999 becomes the nearest of them."""
    try:
        moment = _EPOCH + timedelta(microseconds=round(epoch * 1e6))
    except OverflowError:
        moment = _LAST if epoch > 0 else _FIRST
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
