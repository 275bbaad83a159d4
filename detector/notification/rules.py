"""The configuration of notification, ready to be used; it may be exchanged for another while the daemon runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from detector.notification.labels import Labelling
from detector.notification.mute_times import MuteTime
from detector.notification.routes import Route, routes_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.config import sections


@dataclass(frozen=True, slots=True)
class Way:
    """What a sink wants.

    direct  each alert at once and by itself
    resend  the last alert of each open incident again after so many seconds; None = never
    fleets  a message of each fleet, too
    """

    name: str
    direct: bool
    resend: float | None = None
    fleets: bool = False


@dataclass(frozen=True, slots=True)
class NotificationRules:
    """Who is told of what, and when. `labels` are the names of those that incidents have."""

    ways: Mapping[str, Way]
    routes: tuple[Route, ...]
    labelling: Labelling
    labels: Sequence[str]
    settings: sections.Notification
    max_waiting: int
    mute_times: Mapping[str, MuteTime]

    @classmethod
    def of(cls, config: sections.Config, ways: Mapping[str, Way] | None = None) -> Self:
        """Take them from a configuration; `ways` are those of its sinks unless others are given."""
        own = {sink.name: _way(sink) for sink in config.sinks}
        labelling = Labelling(config.notification.entity_labels)
        mute_times = {section.name: MuteTime.of(section) for section in config.mute_times}
        most = config.outbox.max_alerts
        return cls(ways or own, routes_of(config), labelling, config.labels(), config.notification, most, mute_times)


def _way(sink: sections.Sink) -> Way:
    if sink.kind == "alertmanager":  # it groups, repeats and silences by itself, and forgets what it does not hear of
        return Way(sink.name, direct=True, resend=sink.resend_interval, fleets=True)
    return Way(sink.name, sink.direct)
