"""Who is told of an incident, and when: routes, groups, fleets."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from detector.config.labels import LABELS
from detector.config.matchers import Matchers
from detector.config.section import Section
from detector.config.units import NUMBER, Count, Names, OptionalNames, Seconds


def _pattern(given: str) -> str:
    try:
        groups = re.compile(given).groupindex
    except re.error as error:
        message = f"expected a regular expression, found `{given}` ({error})"
        raise ValueError(message) from None
    if not groups:
        message = f"expected a regular expression with named groups such as (?P<site>[^-]+), found `{given}`"
        raise ValueError(message)
    if own := groups.keys() & {*LABELS}:
        message = f"every incident has the label {', '.join(sorted(own))} already: give the group another name"
        raise ValueError(message)
    return given


class Fleet(Section):
    """When many entities of a topic at once are one incident."""

    share: Annotated[float, Field(gt=0, le=1), NUMBER] = 0.2
    """More than this share of a topic's known entities must have an open incident ..."""
    least: Annotated[int, Field(ge=2), NUMBER] = 10
    """... and at least so many. It is over when they are fewer than half of that."""
    entities: Count = 100
    """Entities that a message lists; the others are counted."""


class Notification(Section):
    """How messages for people come about: of a sink that is not `direct`, and of a route unless it says otherwise."""

    entity_labels: Annotated[str, AfterValidator(_pattern)] | None = None
    """A pattern that the whole name of an entity is matched against: its named groups are labels, for matchers and
    `group_by`."""
    group_by: Names = ["topic"]
    """Labels: incidents that agree in them go out in one message."""
    group_wait: Seconds = 5.0
    """How long the first message of a group waits for others to join it."""
    group_interval: Seconds = 60.0
    """How long a group that was told of keeps changes for the next message."""
    repeat_interval: Seconds = 14400.0
    """After how long a group is told of again where nothing has changed and an incident is still open."""
    fleet: Fleet = Fleet()
    """When many entities at once are one incident."""
    alerts: Count = 20
    """Alerts that a message holds in full, the gravest first; the others are counted."""
    similar: Annotated[int, Field(ge=0), NUMBER] = 3
    """Past incidents that a message shows: those most alike by their features' shares of the distance."""
    mute_times: OptionalNames = []
    """Names of `mute_times` that hold for all routes."""
    keep: Count = 10_000
    """Incidents that are over and kept; the oldest leave first."""
    forget_after: Seconds = 604800.0
    """An open incident counts as over when nothing was heard of it for so long by the clock, as when its partition was
    started anew."""

    def labels(self) -> list[str]:
        """Return the labels that incidents have."""
        return [*LABELS, *(re.compile(self.entity_labels).groupindex if self.entity_labels else ())]


class Route(Section):
    """Which incidents go to which sinks. The first route that matches counts, and those after it with `continue`."""

    matchers: Matchers = ()
    """Conditions on labels (topic, partition, entity, severity, kind, and those of `events.labels` and
    `notification.entity_labels`), all of which must hold, as Alertmanager writes them: severity="critical",
    entity=~"db-.*", != and !~."""
    sinks: Names
    """Names of sinks."""
    continue_: bool = Field(default=False, alias="continue")
    """Whether the routes behind it are looked at too."""
    group_by: Names | None = None
    """Instead of `notification.group_by`."""
    group_wait: Seconds | None = None
    """Instead of `notification.group_wait`."""
    group_interval: Seconds | None = None
    """Instead of `notification.group_interval`."""
    repeat_interval: Seconds | None = None
    """Instead of `notification.repeat_interval`."""
    mute_times: OptionalNames = []
    """Names of `mute_times` that hold for what takes this route."""

    def labels(self) -> set[str]:
        """Return the labels that it goes by."""
        return {matcher.name for matcher in self.matchers} | {*(self.group_by or ())}
