"""Routes: which incidents go to which sinks, and how they are grouped on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.config.matchers import Matcher, all_match

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.config import sections


@dataclass(frozen=True, slots=True)
class Route:
    """One route with all that it leaves to the defaults filled in; times in seconds."""

    matchers: tuple[Matcher, ...]
    sinks: tuple[str, ...]
    continues: bool
    group_by: tuple[str, ...]
    group_wait: float
    group_interval: float
    repeat_interval: float
    mute_times: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """What tells it from others, now and after a change of the configuration: its matchers."""
        return ",".join(str(matcher) for matcher in self.matchers)


def routes_of(config: sections.Config) -> tuple[Route, ...]:
    """Return the configured routes in order; without any, the one that takes everything to every sink."""
    given = config.routes or [_everything(config)]
    own = config.notification
    return tuple(
        Route(
            route.matchers,
            tuple(dict.fromkeys(route.sinks)),
            route.continue_,
            tuple(route.group_by or own.group_by),
            route.group_wait or own.group_wait,
            route.group_interval or own.group_interval,
            route.repeat_interval or own.repeat_interval,
            tuple(dict.fromkeys((*own.mute_times, *route.mute_times))),
        )
        for route in given
    )


def matching(routes: Sequence[Route], labels: Mapping[str, str]) -> list[Route]:
    """Return the first route that matches, and those behind it as long as each says to continue."""
    found = []
    for route in routes:
        if all_match(route.matchers, labels):
            found.append(route)
            if not route.continues:
                break
    return found


def _everything(config: sections.Config) -> sections.Route:
    from detector.config.sections import Route as Section  # noqa: PLC0415 - only where no route is given

    return Section.model_construct(sinks=[sink.name for sink in config.sinks])
