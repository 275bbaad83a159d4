"""What an outbox entry says to people's programs, whichever schema its body keeps to: one alert, or several in one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from detector.types import OutboxEntry

Document = dict[str, Any]
"""A body as plain JSON values."""

_decode = msgspec.json.Decoder(Document).decode


@dataclass(frozen=True, slots=True)
class Message:
    """A message, as bodies and templates see it.

    firing    whether any of its incidents is open
    severity  the highest of them
    labels    what its incidents have in common
    alerts    the last alert of each incident, as `alert.schema.json` has it; `left_out` counts those not here
    fleet     {share, entities, ...} where most of a topic's entities are in trouble at once; None else
    fleet_over   that of the message before, where it is over
    document  the whole body
    """

    id: str
    firing: bool
    severity: str
    summary: str
    labels: dict[str, str]
    alerts: list[Document]
    left_out: int = 0
    fleet: Document | None = None
    fleet_over: Document | None = None
    document: Document = field(default_factory=dict)


def read(entry: OutboxEntry) -> Message:
    """Return what an entry says; msgspec.DecodeError where its body is no JSON object."""
    document = _decode(entry.body)
    return _of_one(entry.id, document) if "alerts" not in document else _of_several(entry.id, document)


def firing(alert: Document) -> bool:
    """Tell whether an alert's incident is open."""
    return bool(alert["phase"] != "resolve")


def event_labels(alert: Document) -> dict[str, str]:
    """Return the labels of an alert that its event has a value of; none of one from before there were any."""
    return {name: value for name, value in alert.get("labels", {}).items() if value}


def _of_one(id_: str, alert: Document) -> Message:
    whose = {} if alert["entity"] is None else {"entity": alert["entity"]}
    labels = event_labels(alert) | {"topic": alert["topic"]} | whose
    return Message(id_, firing(alert), alert["severity"], alert["summary"], labels, [alert], document=alert)


def _of_several(id_: str, document: Document) -> Message:
    return Message(
        id_,
        document["status"] == "firing",
        document["severity"],
        document["summary"],
        document["labels"],
        document["alerts"],
        document["left_out"],
        document["fleet"],
        document.get("fleet_over"),
        document,
    )
