"""An alert as Alertmanager knows alerts: a set of labels that says which it is, annotations for people, two times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from detector.alerts.messages import event_labels
from detector.alerts.words import observed_in_words, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.alerts.messages import Document

ALERTNAMES = {"anomaly": "DetectorAnomaly", "absence": "DetectorAbsence"}
FLEET = "DetectorFleet"
"""The alert's name where most of a topic's entities are in trouble at once: it inhibits those of single ones."""

NEVER = "0001-01-01T00:00:00Z"
"""Go's zero time: the end of what has none yet."""

_FEATURES = 5
_OFFSET, _PRIME, _SEPARATOR = 14695981039346656037, 1099511628211, b"\xff"


def labels(alert: Document) -> dict[str, str]:
    """Return what tells an alert from all others; its severity is one of them, so a rise makes another alert.

    Without an entity (there is no entity field, or many are absent at once) the partition stands in for it.
    """
    whose = {"partition": str(alert["partition"])} if alert["entity"] is None else {"entity": alert["entity"]}
    own = {"alertname": ALERTNAMES[alert["kind"]], "topic": alert["topic"], **whose, "severity": alert["severity"]}
    return event_labels(alert) | own


def notes(alert: Document) -> dict[str, str]:
    """Return the annotations, for people: what changes stands here and not in the labels."""
    incident = alert["incident"]
    told = {
        "summary": alert["summary"],
        "incident": incident["id"],
        "position": f"{alert['topic']}/{alert['partition']}/{alert['offset']}",
        "events": str(incident["count"]),
        "duration_seconds": f"{incident['duration']:g}",
    }
    if incident["peak_score_words"] is not None:
        told |= {"peak_score": incident["peak_score_words"], "peak_rate": incident["peak_rate_words"]}
    if alert["score_words"] is not None:
        told |= {"score": alert["score_words"], "rate": alert["rate_words"]}
    shown = sorted((f for f in alert["features"] if f["share"]), key=lambda f: -f["share"])[:_FEATURES]
    if shown:
        told["features"] = "; ".join(map(_feature, shown))
    if alert["absent"]:
        told["absent"] = ", ".join(alert["absent"])
    return told


def _feature(feature: Document) -> str:
    seen = observed_in_words(feature["name"], feature["observed"], feature["expected"], feature.get("unit", ""))
    return f"{seen}, {100 * feature['share']:.0f} % of the distance"


def fleet_labels(fleet: Document, severity: str) -> dict[str, str]:
    """Return the labels of a fleet incident."""
    return {"alertname": FLEET, "topic": fleet["topic"], "severity": severity}


def fleet_notes(fleet: Document, summary: str) -> dict[str, str]:
    """Return the annotations of a fleet incident."""
    names = ", ".join(one_line(name) for name in fleet["entities"])
    more = f", and {fleet['left_out']:,} more" if fleet["left_out"] else ""
    return {
        "summary": summary,
        "incident": fleet["id"],
        "share": f"{fleet['share']:g}",
        "affected": str(fleet["affected"]),
        "entities": names + more,
    }


def fingerprint(given: Mapping[str, str]) -> str:
    """Return Alertmanager's own fingerprint of a set of labels: FNV-1a, 64 bits, over names and values in order."""
    value = _OFFSET
    for name in sorted(given):
        for byte in name.encode() + _SEPARATOR + given[name].encode() + _SEPARATOR:
            value = (value ^ byte) * _PRIME % (1 << 64)
    return f"{value:016x}"


def instant(epoch: float) -> str:
    """Return epoch seconds as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(epoch, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
