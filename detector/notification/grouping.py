"""Grouping: incidents that are taken in join groups, and groups are told when they are due."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from detector.notification.fleet import Fleets
from detector.notification.group import Group
from detector.notification.muting import Muting, Nothing
from detector.notification.routes import Route, matching
from detector.notification.similar import Past
from detector.notification.telling import NoVerdicts, Telling, Verdicts
from detector.store import groups, incidents
from detector.types import Phase, Reason

if TYPE_CHECKING:
    import sqlite3

    from detector.notification.intake import NotificationObserver
    from detector.notification.labels import Labels
    from detector.notification.rules import NotificationRules
    from detector.protocols import Clock
    from detector.store.groups import GroupRow
    from detector.store.notification import NotificationFile
    from detector.types import KnownIncident

_NEWS = 500  # incidents taken into groups in one transaction, so that the intake never waits for long
_TIDY = 60.0


class Grouping:
    """A stage of the notifier. The groups it keeps in memory are those of the file, with their times."""

    def __init__(  # noqa: PLR0913 - what messages depend on
        self,
        file: NotificationFile,
        rules: NotificationRules,
        clock: Clock,
        observer: NotificationObserver,
        *,
        muting: Muting | None = None,
        verdicts: Verdicts | None = None,
    ) -> None:
        self._file = file
        self._connection = file.connect()
        self._rules = rules
        self._clock = clock
        self._groups: dict[int, Group] = {}
        self._fleets = Fleets(rules.settings.fleet)
        self._past = Past(rules.settings.keep)
        self._seen = 0
        self._tidy_at = -math.inf
        self._hurried = False
        self._telling = Telling(
            file.file,
            self._connection,
            rules,
            clock=clock,
            observer=observer,
            muting=muting or Nothing(),
            verdicts=verdicts or NoVerdicts(),
            fleets=self._fleets,
            past=self._past,
        )

    def hurry(self) -> None:
        """Tell what waits without waiting any longer, from the next turn on: the daemon has read all there is."""
        self._hurried = True

    def accept(self, rules: NotificationRules) -> None:
        """Take other rules from now on; `begin` follows."""
        self._rules = self._telling.rules = rules
        self._fleets.settings = rules.settings.fleet

    def begin(self) -> None:
        """Take the groups over from the file, and put every open incident where the rules of now want it."""
        now, wall = self._clock.monotonic(), self._clock.now()
        self._groups = {}
        with self._connection.reading() as sqlite:
            for incident in incidents.over(sqlite, self._file.file, self._rules.settings.keep):
                self._past.add(incident)
        with self._connection.writing() as sqlite:
            self._seen = incidents.grouped(sqlite)
            self._fleets.load(sqlite)
            for row in groups.read_all(sqlite):
                route = self._route(row)
                if route is None:
                    groups.delete(sqlite, row.number)
                else:
                    self._groups[row.number] = Group.of(row, route, now, wall)
                    self._groups[row.number].changed()
            for identity in incidents.open_ids(sqlite):
                known = incidents.find(sqlite, self._file.file, identity)
                assert known is not None
                self._place(sqlite, known)

    def turn(self) -> float:
        """Take in what is new and tell what is due; returns the monotonic time of what will be due next."""
        now = self._clock.monotonic()
        if now >= self._tidy_at:
            self._tidy_at = now + _TIDY
            self._tidy()
        while self._take_news():
            pass
        for group in [group for group in self._groups.values() if group.due <= now or self._hurried]:
            group.hurried = self._hurried
            if not self._telling.look(group):
                del self._groups[group.row.number]
        return min((group.due for group in self._groups.values()), default=self._tidy_at)

    def _take_news(self) -> bool:
        """Put the next incidents that were taken in into groups; False where there are none."""
        with self._connection.reading() as sqlite:
            news = incidents.news(sqlite, self._file.file, self._seen, _NEWS)
        if not news:
            return False
        with self._connection.writing() as sqlite:
            began, _ = self._fleets.look(sqlite, {incident.partition.topic for incident in news}, self._clock.now())
            for topic in began:
                self._gather(sqlite, topic)
            for incident in news:
                self._place(sqlite, incident)
                for number in groups.of_incident(sqlite, incident.id):
                    if number in self._groups:
                        self._groups[number].changed()
            incidents.set_grouped(sqlite, news[-1].revision)
        self._seen = news[-1].revision
        for incident in news:
            if not incident.open:
                self._past.add(incident)
        return True

    def _place(self, sqlite: sqlite3.Connection, incident: KnownIncident) -> None:
        """Make an incident a member of the groups of its routes; where it is in a group already, it stays there."""
        labels = self._rules.labelling(incident)
        member_of = {
            (group.row.sink, group.row.route)
            for number in groups.of_incident(sqlite, incident.id)
            if (group := self._groups.get(number))
        }
        for route in matching(self._rules.routes, labels):
            for sink in route.sinks:
                if not self._rules.ways[sink].direct and (sink, route.key) not in member_of:
                    wanted = self._labels(route, labels, incident.partition.topic)
                    group = self._group(sqlite, sink, route, wanted)
                    groups.join(sqlite, group.row.number, incident.id)
                    group.changed()

    def _labels(self, route: Route, labels: Labels, topic: str) -> Labels:
        """Return the labels of an incident's group: those of the route, or of the fleet that it belongs to."""
        fleet = self._fleets.id_of(topic)
        if fleet is not None and not set(route.group_by) <= {"topic"}:
            return {"topic": topic, "fleet": fleet}
        return {name: labels.get(name, "") for name in route.group_by}

    def _group(self, sqlite: sqlite3.Connection, sink: str, route: Route, labels: Labels) -> Group:
        row = groups.find_or_make(sqlite, sink, route.key, labels, self._clock.now())
        return self._groups.setdefault(row.number, Group(row, route, self._clock.monotonic(), None, 0))

    def _gather(self, sqlite: sqlite3.Connection, topic: str) -> None:
        """Move what was not told of yet into the group of the fleet that has begun."""
        for group in list(self._groups.values()):
            labels = self._labels(group.route, group.row.labels, topic)
            if "fleet" in labels and "fleet" not in group.row.labels:
                fleet = self._group(sqlite, group.row.sink, group.route, labels)
                if groups.move_untold(sqlite, group.row.number, fleet.row.number, topic):
                    fleet.made = min(fleet.made, group.made)
                    fleet.changed()
                    if groups.is_empty(sqlite, group.row.number):
                        groups.delete(sqlite, group.row.number)
                        del self._groups[group.row.number]

    def _route(self, row: GroupRow) -> Route | None:
        """Return the route of a group that is taken over; None where there is no such route or sink any more."""
        way = self._rules.ways.get(row.sink)
        if way is None or way.direct:
            return None
        return next((r for r in self._rules.routes if r.key == row.route and row.sink in r.sinks), None)

    def _tidy(self) -> None:
        """Let go of what is over, and of open incidents that nothing is heard of any more."""
        settings = self._rules.settings
        with self._connection.writing() as sqlite:
            for incident in incidents.stale(sqlite, self._file.file, self._clock.now() - settings.forget_after):
                incidents.take_in(sqlite, replace(incident, phase=Phase.RESOLVE, reason=Reason.FORGOTTEN))
            incidents.prune(sqlite, settings.keep)
