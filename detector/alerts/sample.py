"""A sample message, marked as one: to try a sink with, and to check a template on."""

from __future__ import annotations

import msgspec

from detector.alerts import body
from detector.alerts.ids import alert_id, message_id
from detector.types import (
    Alert,
    FeatureShare,
    Finding,
    Incident,
    OutboxEntry,
    Partition,
    Phase,
    Position,
    Reason,
    Severity,
)

ENTITY = "detector-test"
TOPIC = "detector-test"
"""What samples are about: no real topic should have the name."""
MARK = "TEST, nothing is wrong: "
"""How the summary of a sample begins; its body also has `"test": true`."""


def sample(sink: str, now: float, *, resolved: bool = False) -> OutboxEntry:
    """Return the outbox entry of a sample: an incident of the entity detector-test that opens, or has `resolved`."""
    place = Partition(TOPIC, 0)
    incident = alert_id("", place, Position(int(now * 1000)), "anomaly")
    alert = Alert(
        id=message_id(incident, 2 if resolved else 1),
        kind="anomaly",
        phase=Phase.RESOLVE if resolved else Phase.OPEN,
        reason=Reason.RECOVERED if resolved else None,
        severity=Severity.WARNING,
        partition=place,
        position=Position(0),
        entity=ENTITY,
        time=now,
        incident=Incident(
            id=incident,
            sequence=2 if resolved else 1,
            start=now - 60.0 if resolved else now,
            duration=60.0 if resolved else 0.0,
            peak=4.0,
            peak_at_least=False,
            count=1,
            shares=(0.9, 0.1),
        ),
        finding=None if resolved else _FINDING,
        names=("cpu", "memory"),
        sources=("cpu", "memory"),
    )
    document = msgspec.json.decode(body.encode(alert, {"cpu": "%"}))
    document["summary"] = MARK + document["summary"]
    return OutboxEntry(alert.id, sink, "alert", msgspec.json.encode(document | {"test": True}))


_FINDING = Finding(
    score=4.0,
    at_least=False,
    distance=12.5,
    threshold=3.5,
    since=None,
    model_version=1,
    block=1,
    centroid=0,
    features=(FeatureShare("cpu", 97.0, 31.0, 0.9), FeatureShare("memory", 55.0, 50.0, 0.1)),
)
