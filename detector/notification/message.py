"""The body of a message for people: JSON as `notification.schema.json` describes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from detector.alerts.words import one_line
from detector.types import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.notification.fleet import Fleet
    from detector.notification.similar import Alike
    from detector.types import KnownIncident

SCHEMA_VERSION = 1
"""Raised when a reader of the old one could misread a body; new fields alone do not raise it."""

KIND = "notification"
"""The kind of its outbox entry."""

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Content:
    """What a message says.

    labels   of its group
    firing   incidents that are open, the gravest first; `over` those that are over and not told of as such yet
    shown    how many of them, open ones first, are told in full; `bodies` theirs, by id
    fresh    how many of the open ones were not told of before
    repeat   whether nothing has changed since the last message
    fleet    that these incidents are; `fleet_over` is the one that they were when told last
    """

    id: str
    labels: Mapping[str, str]
    firing: Sequence[KnownIncident]
    over: Sequence[KnownIncident]
    bodies: Mapping[str, bytes]
    fresh: int
    repeat: bool
    fleet: Fleet | None
    fleet_over: Fleet | None
    similar: Sequence[Alike]
    verdicts: Mapping[str, str]
    now: float


def encode(content: Content) -> bytes:
    """Return the message as JSON."""
    told = content.firing or content.over
    body = {
        "schema": SCHEMA_VERSION,
        "kind": KIND,
        "id": content.id,
        "status": "firing" if content.firing else "resolved",
        "severity": gravest(told),
        "summary": summary(content),
        "time": _rfc3339(content.now),
        "repeat": content.repeat,
        "labels": content.labels,
        "counts": {"firing": len(content.firing), "resolved": len(content.over), "new": content.fresh},
        "alerts": [
            msgspec.Raw(content.bodies[i.id]) for i in (*content.firing, *content.over) if i.id in content.bodies
        ],
        "left_out": len(content.firing) + len(content.over) - len(content.bodies),
        "fleet": content.fleet and content.fleet.told(),
        "fleet_over": content.fleet_over and content.fleet_over.told(),
        "similar": [_similar(alike, content.verdicts) for alike in content.similar],
    }
    return msgspec.json.encode(body)


def encode_fleet(identity: str, fleet: Fleet, *, severity: Severity, firing: bool, now: float) -> bytes:
    """Return a message of a fleet alone, for a sink that gets every alert by itself."""
    body = {
        "schema": SCHEMA_VERSION,
        "kind": KIND,
        "id": identity,
        "status": "firing" if firing else "resolved",
        "severity": severity,
        "summary": fleet.summary(),
        "time": _rfc3339(now),
        "repeat": False,
        "labels": {"topic": fleet.topic},
        "counts": {"firing": fleet.affected, "resolved": 0, "new": 0},
        "alerts": [],
        "left_out": fleet.affected,
        "fleet": fleet.told(),
        "fleet_over": None,
        "similar": [],
    }
    return msgspec.json.encode(body)


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of what `encode` writes."""
    text = files(__package__).joinpath("notification.schema.json").read_bytes()
    document: dict[str, Any] = msgspec.json.decode(text)
    return document


def message_id(group: str, number: int, incidents: Sequence[KnownIncident], *, repeat: bool) -> str:
    """Return the id of a group's message: it is the `webhook-id`, so another message must have another.

    Of a single incident it is the alert's own id; else a hash of the group, by which its messages keep their order,
    and one of its number and the members as told.
    """
    if len(incidents) == 1 and not repeat:
        return f"{incidents[0].id}-{incidents[0].sequence}"
    whose = blake2b(group.encode(), digest_size=16, person=b"group").hexdigest()
    digest = blake2b(f"{number}".encode(), digest_size=8, person=b"detector")
    for incident in incidents:
        digest.update(f" {incident.id}-{incident.sequence}".encode())
    return f"{whose}-g{digest.hexdigest()}"


def gravest(incidents: Sequence[KnownIncident]) -> Severity:
    """Return the highest severity among incidents."""
    critical = any(incident.severity is Severity.CRITICAL for incident in incidents)
    return Severity.CRITICAL if critical else Severity.WARNING


def summary(content: Content) -> str:
    """Return one line: the alert's own where there is one, else how many of whom."""
    everything = (*content.firing, *content.over)
    still = "still: " if content.repeat else ""
    if content.fleet is not None:
        return still + content.fleet.summary()
    if content.fleet_over is not None:
        still = f"fleet {one_line(content.fleet_over.topic)} is over: "
    if len(everything) == 1 and everything[0].id in content.bodies:
        return still + str(msgspec.json.decode(content.bodies[everything[0].id])["summary"])
    return still + "; ".join(
        part for part in (_counted(content.firing, "open"), _counted(content.over, "over")) if part
    )


def _counted(incidents: Sequence[KnownIncident], state: str) -> str:
    if not incidents:
        return ""
    critical = sum(incident.severity is Severity.CRITICAL for incident in incidents)
    names = dict.fromkeys(one_line(i.entity if i.entity is not None else str(i.partition)) for i in incidents)
    shown = ", ".join(list(names)[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
    grave = f" ({critical:,} critical)" if critical else ""
    return f"{len(incidents):,} incident{'' if len(incidents) == 1 else 's'} {state}{grave}: {shown}"


def _similar(alike: Alike, verdicts: Mapping[str, str]) -> dict[str, Any]:
    incident = alike.incident
    return {
        "incident": incident.id,
        "kind": incident.kind,
        "entity": incident.entity,
        "topic": incident.partition.topic,
        "partition": incident.partition.number,
        "severity": incident.severity,
        "start": _rfc3339(incident.start),
        "end": _rfc3339(incident.time),
        "likeness": round(alike.likeness, 3),
        "verdict": verdicts.get(incident.id),
    }


def _rfc3339(epoch: float) -> str:
    """Return the time in UTC; one outside the years 1 to 9999 becomes the nearest of them."""
    moment = datetime.fromtimestamp(min(max(epoch, -62135596800.0), 253402300799.0), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
