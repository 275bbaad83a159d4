"""Tells a group: what is due is written into the outbox, together with that it was told."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import msgspec

from detector.notification.fleet import Fleet
from detector.notification.group import Group, Members, sorted_members
from detector.notification.message import KIND, Content, encode, message_id
from detector.notification.similar import Alike, Past, mean_shares
from detector.store import fates, groups, incidents, outbox
from detector.store.fates import Fate, What
from detector.types import OutboxEntry

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from detector.notification.fleet import Fleets
    from detector.notification.intake import NotificationObserver
    from detector.notification.muting import Muting
    from detector.notification.rules import NotificationRules
    from detector.protocols import Clock
    from detector.store.connection import Connection
    from detector.types import KnownIncident


class Verdicts(Protocol):
    """Knows what operators said of incidents."""

    def of(self, identities: Sequence[str]) -> Mapping[str, str]:
        """Return what was said, by incident id; those of which nothing was said are left out."""


class NoVerdicts:
    """Knows nothing."""

    def of(self, identities: Sequence[str]) -> Mapping[str, str]:
        """Return nothing."""
        del identities
        return {}


class Telling:
    """Looks at groups that are due. `rules` may be exchanged."""

    def __init__(  # noqa: PLR0913 - what goes into a message
        self,
        file: Path,
        connection: Connection,
        rules: NotificationRules,
        *,
        clock: Clock,
        observer: NotificationObserver,
        muting: Muting,
        verdicts: Verdicts,
        fleets: Fleets,
        past: Past,
    ) -> None:
        self.rules = rules
        self._file = file
        self._connection = connection
        self._clock = clock
        self._observer = observer
        self._muting = muting
        self._verdicts = verdicts
        self._fleets = fleets
        self._past = past

    def look(self, group: Group) -> bool:
        """Tell a group if that is due, and note when to look at it again; False where nobody is left in it."""
        now, wall = self._clock.monotonic(), self._clock.now()
        members = self._members(group, wall)
        if members.to_tell(group, now):
            self._tell(group, members, wall)
            group.told, group.messages = now, group.messages + 1
            members.over, members.new, members.risen = [], 0, 0
        self._mute(group, members, wall)
        if members.none and not members.over:
            with self._connection.writing() as sqlite:
                groups.delete(sqlite, group.row.number)
            return False
        group.due = members.next_look(group, now)
        return True

    def _members(self, group: Group, wall: float) -> Members:
        with self._connection.reading() as sqlite:
            # Thousands of bodies would not fit: those that are told are read again.
            found = {
                incident.id: (replace(incident, body=b"", shares={}), told)
                for incident, told in groups.members(sqlite, self._file, group.row.number)
            }
        labels = {identity: self.rules.labelling(incident) for identity, (incident, _) in found.items()}
        return sorted_members(found, labels, self._muting, group.route.mute_times, wall)

    def _tell(self, group: Group, members: Members, wall: float) -> None:
        everything = [*members.firing, *members.over]
        repeat = not members.changed
        identity = message_id(_key(group), group.messages, everything, repeat=repeat)
        with self._connection.reading() as sqlite:
            shown = everything[: self.rules.settings.alerts]
            full = [known for i in shown if (known := incidents.find(sqlite, self._file, i.id)) is not None]
            fleet, over = self._fleet(sqlite, group, members)
        similar = self._similar(full, {incident.id for incident in everything})
        body = encode(
            Content(
                id=identity,
                labels=group.row.labels,
                firing=members.firing,
                over=members.over,
                bodies={incident.id: incident.body for incident in full},
                fresh=members.new,
                repeat=repeat,
                fleet=fleet,
                fleet_over=over,
                similar=similar,
                verdicts=self._verdicts.of([alike.incident.id for alike in similar]),
                now=wall,
            )
        )
        sink = group.row.sink
        with self._connection.writing() as sqlite:
            outbox.add(sqlite, [OutboxEntry(identity, sink, KIND, body)], wall)
            gone, kept = [i.id for i in members.over], None if fleet is None else msgspec.json.encode(fleet)
            groups.tell(sqlite, group.row.number, members.firing, gone, wall, fleet=kept)
            fates.write_all(sqlite, (Fate(i.id, sink, i.sequence, What.TOLD, identity, wall) for i in everything))
        group.fleet = fleet
        self._observer.notified(sink, "repeat" if repeat else "firing" if members.firing else "resolved")

    def _fleet(self, sqlite: sqlite3.Connection, group: Group, members: Members) -> tuple[Fleet | None, Fleet | None]:
        """Return the fleet as it is now, and the one that the group told of where it is over: each None where not."""
        labels = group.row.labels
        if not (labels.keys() <= {"topic"} or "fleet" in labels):
            return None, None
        if members.firing:
            topics = {incident.partition.topic for incident in (*members.firing, *members.over)}
            now = self._fleets.of(sqlite, topics)
            return now, group.fleet if now is None else None
        if group.fleet is None and "fleet" in labels:
            return None, Fleet(labels["fleet"], labels["topic"], group.row.made, 0, 0, ())
        return None, group.fleet

    def _similar(self, told: Sequence[KnownIncident], but: set[str]) -> list[Alike]:
        if not told:
            return []
        return self._past.like(mean_shares(told), told[0].partition.topic, but, self.rules.settings.similar)

    def _mute(self, group: Group, members: Members, wall: float) -> None:
        if not members.muted:
            return
        counts: Counter[str] = Counter()
        with self._connection.writing() as sqlite:
            for incident, muted in members.muted:
                fate = Fate(incident.id, group.row.sink, incident.sequence, muted.what, muted.by, wall)
                counts[muted.what.value] += fates.write(sqlite, fate)
            groups.leave(sqlite, group.row.number, [incident.id for incident in members.dropped])
        for reason, count in counts.items():
            self._observer.suppressed(reason, count)


def _key(group: Group) -> str:
    return msgspec.json.encode([group.row.number, group.row.sink, group.row.route, group.row.labels]).decode()
