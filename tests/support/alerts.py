"""Alerts, entries and a clock for tests of the way out."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from typing import Any

from detector.alerts import body, dead_letters
from detector.alerts.ids import alert_id, message_id
from detector.notification.fleet import Fleet
from detector.notification.message import encode_fleet
from detector.types import (
    Alert,
    DeadLetter,
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

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PARTITION = Partition("metrics", 3)
FINDING = Finding(
    score=4.0,
    at_least=False,
    distance=12.5,
    threshold=3.5,
    since=1795413922.25 - 90.0,
    model_version=1,
    block=812,
    centroid=5,
    features=(
        FeatureShare("cpu", 97.1, 31.2, 0.83),
        FeatureShare("memory", None, 55.0, 0.0),
        FeatureShare("load", 3.5, 1.25, 0.17),
    ),
)


def alert(offset: int = 17, **changes: Any) -> Alert:
    """Return an alert as detection would write it."""
    position = Position(offset, 2)
    incident = alert_id("topic-id", PARTITION, position, "anomaly")
    made = Alert(
        id=message_id(incident, 1),
        kind="anomaly",
        phase=Phase.OPEN,
        reason=None,
        severity=Severity.WARNING,
        partition=PARTITION,
        position=position,
        entity="host-7",
        time=1795413922.25,
        incident=Incident(
            id=incident,
            sequence=1,
            start=1795413922.25,
            duration=0.0,
            peak=4.0,
            peak_at_least=False,
            count=1,
            shares=(0.83, 0.0, 0.17),
        ),
        finding=FINDING,
        names=("cpu", "memory", "load"),
        sources=("cpu", "memory", "load"),
    )
    return replace(made, **changes)


def ended(reason: Reason, offset: int = 17, **changes: Any) -> Alert:
    """Return the last alert of the incident that `alert` opened, 12 minutes later."""
    opened = alert(offset)
    incident = replace(
        opened.incident, sequence=2, duration=720.0, peak=6.0, peak_at_least=True, count=31, shares=(0.25, 0.25, 0.5)
    )
    id_ = message_id(incident.id, 2)
    resolved = replace(opened, id=id_, phase=Phase.RESOLVE, reason=reason, incident=incident, time=opened.time + 720)
    return replace(resolved, **{"finding": None, **changes})


def absence(*entities: str, reason: Reason | None = None, count: int = 1) -> Alert:
    """Return an alert of entities that were last seen 12 minutes ago: it opens one, or says why it is over."""
    opened = alert(17)
    incident = replace(
        opened.incident, duration=720.0, peak=0.0, count=count, shares=(), sequence=1 if reason is None else 2
    )
    return replace(
        opened,
        id=message_id(incident.id, incident.sequence),
        kind="absence",
        phase=Phase.OPEN if reason is None else Phase.RESOLVE,
        reason=reason,
        entity=entities[0] if count == 1 else None,
        incident=incident,
        finding=None,
        absent=entities,
    )


def risen(offset: int = 17, **changes: Any) -> Alert:
    """Return the second alert of the incident that `alert` opened: it has become critical."""
    opened = alert(offset)
    incident = replace(opened.incident, sequence=2, duration=60.0, peak=7.0, count=9)
    made = replace(opened, id=message_id(incident.id, 2), phase=Phase.UPDATE, reason=Reason.SEVERITY, incident=incident)
    return replace(made, **{"severity": Severity.CRITICAL, **changes})


def entry(sink: str, offset: int = 17, **changes: Any) -> OutboxEntry:
    """Return an alert's entry in the outbox of a sink."""
    return entry_of(sink, alert(offset, **changes))


def entry_of(sink: str, told: Alert) -> OutboxEntry:
    """Return the entry of that alert in the outbox of a sink."""
    return OutboxEntry(told.id, sink, "alert", body.encode(told))


def fleet_entry(sink: str, *, firing: bool = True) -> OutboxEntry:
    """Return the entry of a fleet incident, as it began on its own or is over."""
    fleet = Fleet("f" * 32, "metrics", 1795413922.25 - 60.0, 30, 40, ("host-0", "host-1"))
    id_ = message_id(fleet.id, 1 if firing else 2)
    encoded = encode_fleet(id_, fleet, severity=Severity.CRITICAL, firing=firing, now=1795413922.25)
    return OutboxEntry(id_, sink, "fleet", encoded)


def dead_letter(offset: int = 4, **changes: Any) -> DeadLetter:
    """Return a rejected record."""
    made = DeadLetter(
        partition=PARTITION,
        offset=offset,
        timestamp=1795413922250,
        key=b"host-\xff",
        value=b'{"cpu": \x00 broken',
        headers=(("trace", b"\x01\x02"), ("trace", b"again")),
        rows=(0, 1, 2, 7),
        reasons=("not_finite", "not_a_number", "not_finite", "not_finite"),
        detail="cpu: expected a finite number",
    )
    return replace(made, **changes)


def dead_letter_entry(offset: int = 4, **changes: Any) -> OutboxEntry:
    """Return a rejected record's entry in the outbox."""
    return dead_letters.outbox_entry(dead_letter(offset, **changes), "topic-id")


class TurnedClock:
    """A clock that stands still until it is turned."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now
        self._monotonic = 0.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def turn(self, seconds: float) -> None:
        self._now += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock, as an administrator does: no time passes."""
        self._now += seconds


class Counts:
    """A DeliveryObserver that counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.attempts: Counter[tuple[str, str]] = Counter()
        self.refusals: Counter[tuple[str, str]] = Counter()
        self.crashes: Counter[str] = Counter()
        self.collapses: Counter[str] = Counter()
        self.backlogs: dict[str, tuple[int, float]] = {}

    def delivered(self, sink: str, code: str, seconds: float) -> None:
        assert seconds >= 0
        with self._lock:
            self.attempts[sink, code] += 1

    def refused(self, sink: str, code: str) -> None:
        with self._lock:
            self.refusals[sink, code] += 1

    def crashed(self, where: str) -> None:
        with self._lock:
            self.crashes[where] += 1

    def collapsed(self, sink: str, entries: int) -> None:
        with self._lock:
            self.collapses[sink] += entries

    def backlog(self, sink: str, entries: int, oldest: float) -> None:
        with self._lock:
            self.backlogs[sink] = (entries, oldest)
