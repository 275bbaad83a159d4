"""Intake: alerts leave the partitions' outboxes for the file of notification, where their incidents are known."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import msgspec

from detector.errors import DetectorError
from detector.notification.routes import matching
from detector.store import fates, fleets, incidents, outbox
from detector.store.fates import Fate, What
from detector.types import Attempt, KnownIncident, OutboxEntry, Outcome, Partition, Phase, Reason, Severity

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence

    from detector.notification.rules import NotificationRules
    from detector.store.notification import NotificationFile

SINK = "notification"
"""The name of the intake among the sinks of a partition's outbox."""

KIND = "alert"

_SOON = 1.0


class NotificationObserver(Protocol):
    """Who counts messages. Called on several threads; must not raise."""

    def notified(self, sink: str, kind: str, count: int = 1) -> None:
        """Count messages that were written for a sink."""

    def suppressed(self, reason: str, count: int = 1) -> None:
        """Count alerts that made no message."""


class Intake:
    """A bulk sink of the partitions' outboxes. What it takes is durable, once, whatever dies in between.

    In one transaction it keeps the incident as it is now, and writes the alert for the sinks that want each directly;
    an alert that was taken before changes nothing. `on_taken(direct)` is called afterwards: there is news, and, where
    `direct`, something to deliver. That begins before the disk is waited for, as the alert stands in the partition's
    outbox until it is durable here too.
    """

    patience = math.inf
    """An alert waits here for as long as it must: it is the sinks that give up."""

    def __init__(
        self,
        file: NotificationFile,
        rules: NotificationRules,
        observer: NotificationObserver,
        on_taken: Callable[[bool], None],
    ) -> None:
        self._file = file
        self._connection = file.connect()
        self._observer = observer
        self._on_taken = on_taken
        self.rules = rules
        self.population: Mapping[Partition, int] = {}
        """How many entities each partition of this worker knows."""
        self._known: Mapping[Partition, int] = {}
        self.waits_for: str | None = None
        """The sink that has too much waiting to take more."""

    @property
    def name(self) -> str:
        """Its name in the outboxes."""
        return SINK

    def deliver(self, entry: OutboxEntry, attempt: int) -> Attempt:
        """Take one alert."""
        return self.deliver_all([(entry, attempt)])[0]

    def deliver_all(self, entries: Sequence[tuple[OutboxEntry, int]]) -> list[Attempt]:
        """Take alerts in order; all of them, or none but those that are no alert, which are refused."""
        now = self._file.now()
        read = [incident_of(entry, now) for entry, _ in entries]
        told: Counter[str] = Counter()
        known = self.population
        try:
            with self._connection.staging() as sqlite:
                self.waits_for = self._too_much(sqlite)
                if self.waits_for is None:
                    if known != self._known:
                        fleets.know(sqlite, known)
                    for (entry, _), incident in zip(entries, read, strict=True):
                        if isinstance(incident, KnownIncident):
                            told.update(self._take(sqlite, entry, incident))
            if self.waits_for is not None:
                detail = f"sink {self.waits_for} has too many messages waiting"
                return [Attempt(Outcome.RETRY, "full", detail, _SOON)] * len(entries)
            self._known = known
            self._tell(told)
            self._connection.sync()
        except DetectorError as error:
            return [Attempt(Outcome.RETRY, "store", str(error), _SOON)] * len(entries)
        return [Attempt(Outcome.DELIVERED, "ok") if isinstance(one, KnownIncident) else one for one in read]

    def _tell(self, told: Counter[str]) -> None:
        for sink, count in told.items():
            if sink:
                self._observer.notified(sink, KIND, count)
            else:
                self._observer.suppressed(What.UNROUTED.value, count)
        self._on_taken(any(told))

    def has_room_again(self) -> bool:
        """Return whether alerts were refused for a sink that had too much waiting, and has no more; told once."""
        if self.waits_for is None:
            return False
        try:
            with self._connection.reading() as sqlite:
                self.waits_for = self._too_much(sqlite)
        except DetectorError:
            return False
        return self.waits_for is None

    def close(self) -> None:
        """Leave the connection: it is closed with the file."""

    def _too_much(self, sqlite: sqlite3.Connection) -> str | None:
        waiting = outbox.backlog(sqlite)
        return next(
            (s for s, (n, _, _) in waiting.items() if s in self.rules.ways and n > self.rules.max_waiting), None
        )

    def _take(self, sqlite: sqlite3.Connection, entry: OutboxEntry, incident: KnownIncident) -> list[str]:
        """Return the sinks that are told directly; [""] where no route takes the incident."""
        known = incidents.find(sqlite, self._file.file, incident.id)
        if known is not None and known.sequence >= incident.sequence:
            return []
        rules = self.rules
        routed = dict.fromkeys(s for r in matching(rules.routes, rules.labelling(incident)) for s in r.sinks)
        # Who was told that it opened is told how it goes on, whatever the routes say by then.
        before = known.sinks if known else ()
        direct = [s for s in dict.fromkeys((*before, *routed)) if s in rules.ways and rules.ways[s].direct]
        heard = known.heard if known else incident.heard
        incidents.take_in(sqlite, replace(incident, sinks=tuple(direct), heard=heard))
        outbox.add(sqlite, [entry._replace(sink=sink) for sink in direct], incident.changed)
        for sink in direct:
            fates.write(sqlite, Fate(incident.id, sink, incident.sequence, What.TOLD, entry.id, incident.changed))
        if not routed and not before:
            fates.write(sqlite, Fate(incident.id, "", incident.sequence, What.UNROUTED, "", incident.changed))
            return [""]
        return direct


class _Share(msgspec.Struct):
    name: str
    incident_share: float | None


class _Incident(msgspec.Struct):
    id: str
    sequence: int
    start_epoch: float
    peak_score: float | None


class _Alert(msgspec.Struct):
    """What notification goes by in an alert's body."""

    kind: str
    phase: Phase
    reason: Reason | None
    severity: Severity
    entity: str | None
    topic: str
    partition: int
    epoch: float
    incident: _Incident
    features: list[_Share]
    labels: dict[str, str] = {}


_decoder = msgspec.json.Decoder(_Alert)


def incident_of(entry: OutboxEntry, now: float) -> KnownIncident | Attempt:
    """Return the incident as the alert tells it; a refusal where the entry holds none."""
    try:
        alert = _decoder.decode(entry.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Attempt(Outcome.REFUSED, "invalid", f"outbox entry {entry.id} holds no alert: {error}")
    return KnownIncident(
        id=alert.incident.id,
        sequence=alert.incident.sequence,
        kind=alert.kind,
        phase=alert.phase,
        reason=alert.reason,
        severity=alert.severity,
        partition=Partition(alert.topic, alert.partition),
        entity=alert.entity,
        start=alert.incident.start_epoch,
        time=alert.epoch,
        peak=alert.incident.peak_score,
        shares={f.name: f.incident_share for f in alert.features if f.incident_share is not None},
        body=entry.body,
        labels=alert.labels,
        heard=now,
        changed=now,
    )
