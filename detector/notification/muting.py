"""What keeps messages from people for a while: silences and mute times. What is muted stays an incident."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from detector.store.fates import What

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.notification.labels import Labels


class Muted(NamedTuple):
    """Why an incident is not told of: `what` is SILENCED or MUTED; `by` is the silence's id or the mute time's name."""

    what: What
    by: str


class Muting(Protocol):
    """Says what is muted. Called on the notifier's thread, for each incident of a message that is due."""

    def muted_by(self, labels: Labels, now: float, mute_times: Sequence[str]) -> Muted | None:
        """Return what mutes an incident with those labels at `now` (epoch seconds); None where nothing does.

        `mute_times` are the names of those that hold for the route that it takes.
        """


class Nothing:
    """Mutes nothing."""

    def muted_by(self, labels: Labels, now: float, mute_times: Sequence[str]) -> Muted | None:
        """Return None."""
        del labels, now, mute_times
        return None
