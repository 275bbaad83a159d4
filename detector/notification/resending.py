"""Resending: sinks that forget what they are not reminded of get the last alert of each open incident again."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from detector.notification.fleet import Fleets
from detector.notification.message import encode_fleet
from detector.store import fleets, incidents, outbox
from detector.types import OutboxEntry, Severity

if TYPE_CHECKING:
    import sqlite3

    from detector.notification.fleet import Fleet
    from detector.notification.intake import NotificationObserver
    from detector.notification.rules import NotificationRules, Way
    from detector.protocols import Clock
    from detector.store.notification import NotificationFile

KIND = "resend"
"""The kind of an outbox entry that holds an alert that went out before; its id is the alert's own."""

FLEET = "fleet"
"""The kind of an outbox entry that holds a message of a fleet alone."""

_PIECE = 200  # incidents written in one transaction, so that the intake never waits for long


class Resending:
    """A stage of the notifier. What still waits for such a sink is not written again, so its backlog is bounded."""

    def __init__(
        self, file: NotificationFile, rules: NotificationRules, clock: Clock, observer: NotificationObserver
    ) -> None:
        self._file = file
        self._connection = file.connect()
        self._rules = rules
        self._clock = clock
        self._observer = observer
        self._due: dict[str, float] = {}
        self._fleets: dict[str, dict[str, Fleet]] = {}  # by way and id, as last told

    def accept(self, rules: NotificationRules) -> None:
        """Take other rules from now on; `begin` follows."""
        self._rules = rules

    def begin(self) -> None:
        """Remind of everything at once, as nobody knows when that was done last."""
        self._due = {}
        self._fleets = {}

    def turn(self) -> float:
        """Write what is due again; returns when the next is."""
        ways = [way for way in self._rules.ways.values() if way.resend is not None or way.fleets]
        if not ways:
            return math.inf
        self._tell_fleets([way for way in ways if way.fleets])
        now = self._clock.monotonic()
        for way in ways:
            if way.resend is not None and now >= self._due.get(way.name, -math.inf):
                self._due[way.name] = now + way.resend
                self._resend(way)
        return min(self._due.values(), default=math.inf)

    def _resend(self, way: Way) -> None:
        with self._connection.reading() as sqlite:
            identities = incidents.open_ids(sqlite)
        count = 0
        for start in range(0, len(identities), _PIECE):
            with self._connection.writing() as sqlite:
                entries = []
                for identity in identities[start : start + _PIECE]:
                    known = incidents.find(sqlite, self._file.file, identity)
                    if known is not None and known.open and way.name in known.sinks:
                        message = f"{known.id}-{known.sequence}"
                        entries.append(OutboxEntry(message, way.name, KIND, known.body))
                outbox.add_again(sqlite, entries, self._clock.now())
                count += len(entries)
        if way.fleets:
            with self._connection.writing() as sqlite:
                for fleet in self._fleets.get(way.name, {}).values():
                    self._write(sqlite, way, fleet, "firing")
        if count:
            self._observer.notified(way.name, KIND, count)

    def _tell_fleets(self, ways: list[Way]) -> None:
        """Tell of fleets that began, and of those that are over, whom any incident of the topic goes to."""
        if not ways:
            return
        with self._connection.reading() as sqlite:
            looking = Fleets(self._rules.settings.fleet)
            looking.load(sqlite)
            rows = fleets.under_way(sqlite)
            now = {row.id: fleet for row in rows if (fleet := looking.of(sqlite, [row.topic])) is not None}
            untold = {id_ for way in ways for id_ in now.keys() - self._fleets.get(way.name, {}).keys()}
            concerned = {id_: fleets.sinks(sqlite, now[id_].topic) for id_ in untold}
        for way in ways:
            told = self._fleets.get(way.name, {})
            mine = {id_: fleet for id_, fleet in now.items() if id_ in told or way.name in concerned[id_]}
            began = [fleet for id_, fleet in mine.items() if id_ not in told]
            over = [fleet for id_, fleet in told.items() if id_ not in mine]
            if began or over:
                with self._connection.writing() as sqlite:
                    for fleet in began:
                        self._write(sqlite, way, fleet, "firing")
                    for fleet in over:
                        self._write(sqlite, way, fleet, "resolved")
                self._observer.notified(way.name, FLEET, len(began) + len(over))
            self._fleets[way.name] = mine

    def _write(self, sqlite: sqlite3.Connection, way: Way, fleet: Fleet, status: str) -> None:
        firing, now = status == "firing", self._clock.now()
        identity = f"{fleet.id}-{1 if firing else 2}"
        severity = Severity.CRITICAL if fleets.any_critical(sqlite, fleet.topic) else Severity.WARNING
        body = encode_fleet(identity, fleet, severity=severity, firing=firing, now=now)
        outbox.add_again(sqlite, [OutboxEntry(identity, way.name, FLEET, body)], now)
