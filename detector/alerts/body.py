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

    from detector.types import Alert, FeatureShare

SCHEMA_VERSION = 1
"""Raised when a reader of the old one could misread a body; new fields alone do not raise it."""

KIND = "anomaly"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST = datetime.min.replace(tzinfo=UTC)
_LAST = datetime.max.replace(tzinfo=UTC)
_NO_UNITS: Mapping[str, str] = MappingProxyType({})
_encoder = msgspec.json.Encoder()


def encode(alert: Alert, units: Mapping[str, str] = _NO_UNITS) -> bytes:
    """Return the alert as JSON; `units` are the configured ones by feature name ("" = none)."""
    body = {
        "schema": SCHEMA_VERSION,
        "kind": KIND,
        "id": alert.id,
        "severity": alert.severity,
        "summary": summary(alert, units),
        "entity": alert.entity,
        "time": _rfc3339(alert.time),
        "epoch": alert.time,
        "topic": alert.partition.topic,
        "partition": alert.partition.number,
        "offset": alert.position.offset,
        "row": alert.position.row,
        "score": alert.score,
        "at_least": alert.at_least,
        "score_words": score_in_words(alert.score, at_least=alert.at_least),
        "rate": 10.0**-alert.score,
        "rate_words": rate_in_words(alert.score, at_least=alert.at_least),
        "threshold": alert.threshold,
        "distance": alert.distance,
        "model_version": alert.model_version,
        "block": alert.block,
        "centroid": alert.centroid,
        "features": [_feature(feature, units.get(feature.name, "")) for feature in alert.features],
    }
    return _encoder.encode(body)


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of what `encode` writes."""
    document: dict[str, Any] = msgspec.json.decode(files(__package__).joinpath("alert.schema.json").read_bytes())
    return document


def _feature(feature: FeatureShare, unit: str) -> dict[str, Any]:
    return {
        "name": feature.name,
        "observed": feature.observed,
        "expected": feature.expected,
        "share": feature.share,
        **({"unit": unit} if unit else {}),
    }


def _rfc3339(epoch: float) -> str:
    """Return the time in UTC, to the microsecond; a time outside the years 1 to 9999 becomes the nearest of them."""
    try:
        moment = _EPOCH + timedelta(microseconds=round(epoch * 1e6))
    except OverflowError:
        moment = _LAST if epoch > 0 else _FIRST
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
