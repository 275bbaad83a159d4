"""The built-in bodies: what a receiver gets where no template says otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from detector.alerts import alertmanager_format as format_
from detector.alerts import messages
from detector.types import Severity

if TYPE_CHECKING:
    from detector.types import OutboxEntry

_JSON = msgspec.json.Encoder()


_MOST_NAMED = 20
"""Incidents that a text names one by one."""


def detector(entry: OutboxEntry) -> bytes:
    """Return the body as the outbox holds it: as its JSON schema has it."""
    return entry.body


def alertmanager(entry: OutboxEntry, receiver: str) -> bytes:
    """Return the message as Alertmanager posts to its webhooks (format version 4): the same bytes for the same entry.

    `receiver` is the sink's name. There is no Alertmanager to link to, so its URLs are empty.
    """
    message = messages.read(entry)
    alerts = [_alert(alert) for alert in message.alerts]
    if message.fleet is not None:
        alerts = [_fleet(message, message.fleet, message.severity, firing=message.firing)]
    elif message.fleet_over is not None:  # in which severity it was told last is not known
        ended = [_fleet(message, message.fleet_over, severity.value, firing=False) for severity in Severity]
        alerts = [*ended, *alerts]
    return _JSON.encode(
        {
            "version": "4",
            "groupKey": "{}:{" + ", ".join(f'{n}="{v}"' for n, v in sorted(message.labels.items())) + "}",
            "truncatedAlerts": message.left_out,
            "status": _status(firing=message.firing),
            "receiver": receiver,
            "groupLabels": message.labels,
            "commonLabels": _common([alert["labels"] for alert in alerts]),
            "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
            "externalURL": "",
            "alerts": alerts,
        }
    )


def text(entry: OutboxEntry) -> bytes:
    """Return the built-in text: the summary, and a line for each incident where there are several."""
    message = messages.read(entry)
    lines = [message.summary]
    if len(message.alerts) > 1:
        lines += ["", *(alert["summary"] for alert in message.alerts[:_MOST_NAMED])]
    left_out = message.left_out + max(len(message.alerts) - _MOST_NAMED, 0)
    lines += [f"... and {left_out:,} more"] if left_out else []
    return "\n".join(lines).encode()


def _alert(alert: messages.Document) -> dict[str, Any]:
    labels, firing = format_.labels(alert), messages.firing(alert)
    return {
        "status": _status(firing=firing),
        "labels": labels,
        "annotations": format_.notes(alert),
        "startsAt": alert["incident"]["start"],
        "endsAt": format_.NEVER if firing else alert["time"],
        "generatorURL": "",
        "fingerprint": format_.fingerprint(labels),
    }


def _fleet(message: messages.Message, fleet: messages.Document, severity: str, *, firing: bool) -> dict[str, Any]:
    """Return the one alert that a fleet incident is."""
    labels = format_.fleet_labels(fleet, severity)
    return {
        "status": _status(firing=firing),
        "labels": labels,
        "annotations": format_.fleet_notes(fleet, message.summary),
        "startsAt": fleet["since"],
        "endsAt": format_.NEVER if firing else message.document["time"],
        "generatorURL": "",
        "fingerprint": format_.fingerprint(labels),
    }


def _status(*, firing: bool) -> str:
    return "firing" if firing else "resolved"


def _common(each: list[dict[str, str]]) -> dict[str, str]:
    """Return the names and values that all have."""
    return dict(set.intersection(*(set(one.items()) for one in each))) if each else {}
