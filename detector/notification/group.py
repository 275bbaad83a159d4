"""One group as its worker keeps it, and what is to be done with it: the rules of Alertmanager, on a clock that jumps.

All times here are monotonic; those in the file are the wall clock's, and count only when another worker takes over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from detector.notification.fleet import Fleet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.notification.labels import Labels
    from detector.notification.muting import Muted, Muting
    from detector.notification.routes import Route
    from detector.store.groups import GroupRow, Told
    from detector.types import KnownIncident

_MUTED_AGAIN = 5.0
"""Seconds after which a group with muted members is looked at again."""


@dataclass(slots=True)
class Group:
    """A group; `due` is when it is to be looked at, and `fleet` the one that it has told of while any was open."""

    row: GroupRow
    route: Route
    made: float
    told: float | None
    messages: int
    due: float = math.inf
    hurried: bool = False
    fleet: Fleet | None = None

    @classmethod
    def of(cls, row: GroupRow, route: Route, now: float, wall: float) -> Group:
        """Take a group over from the file: what it says lay ahead counts as now, as the clock was turned back since."""
        made = now - max(wall - row.made, 0.0)
        told = None if row.told is None else now - max(wall - row.told, 0.0)
        fleet = None if row.fleet is None else msgspec.json.decode(row.fleet, type=Fleet)
        return cls(row, route, made, told, row.messages, fleet=fleet)

    @property
    def earliest(self) -> float:
        """When it may be told of a change; at once where it is hurried."""
        if self.hurried:
            return -math.inf
        return self.made + self.route.group_wait if self.told is None else self.told + self.route.group_interval

    @property
    def again(self) -> float:
        """When it is told again where nothing has changed."""
        return math.inf if self.told is None else self.told + self.route.repeat_interval

    def changed(self) -> None:
        """Note that something has changed, perhaps."""
        self.due = min(self.due, self.earliest)


@dataclass(slots=True)
class Members:
    """The members of a group, sorted by what is to be said of them.

    firing  open, as told last; `fresh` of them have not been told of, or not in this severity
    over    no longer open, and not told of as such
    muted   with why; `dropped` of them are over, and nobody was ever told
    """

    firing: list[KnownIncident] = field(default_factory=list)
    over: list[KnownIncident] = field(default_factory=list)
    muted: list[tuple[KnownIncident, Muted]] = field(default_factory=list)
    dropped: list[KnownIncident] = field(default_factory=list)
    new: int = 0
    risen: int = 0

    def take(self, incident: KnownIncident, told: Told, muted: Muted | None) -> None:
        """Sort a member in."""
        if muted is not None:
            self.muted.append((incident, muted))
            if not incident.open and not told.sequence:
                self.dropped.append(incident)
        elif not incident.open:
            self.over.append(incident)
        else:
            self.firing.append(incident)
            self.new += told.sequence == 0
            self.risen += told.sequence > 0 and told.severity != incident.severity.value

    @property
    def changed(self) -> bool:
        """Whether there is something to tell."""
        return bool(self.new or self.risen or self.over)

    @property
    def none(self) -> bool:
        """Whether nobody is left once what is over is told, and what was dropped is gone."""
        return not self.firing and len(self.muted) == len(self.dropped)

    def to_tell(self, group: Group, now: float) -> bool:
        """Return whether a message is due."""
        return now >= group.earliest if self.changed else bool(self.firing) and now >= group.again

    def next_look(self, group: Group, now: float) -> float:
        """Return when the group is to be looked at again, where nothing happens."""
        due = group.earliest if self.changed else group.again if self.firing else math.inf
        return min(due, now + _MUTED_AGAIN) if len(self.muted) > len(self.dropped) else due


def sorted_members(
    members: Mapping[str, tuple[KnownIncident, Told]],
    labels: Mapping[str, Labels],
    muting: Muting,
    mute_times: Sequence[str],
    now: float,
) -> Members:
    """Sort members, the gravest first: critical ones, then by their highest score; `now` is the wall clock's."""
    found = Members()
    order = sorted(members.values(), key=lambda member: (member[0].severity.value, -(member[0].peak or 0.0)))
    for incident, told in order:
        found.take(incident, told, muting.muted_by(labels[incident.id], now, mute_times))
    return found
