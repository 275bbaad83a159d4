"""What keeps incidents from people: silences, which somebody has said, and mute times, which the configuration has.

What is muted is still an incident; when what mutes it is over while it is open, it is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from detector.notification.muting import Muted
from detector.store import silences
from detector.store.fates import What
from detector.store.silences import Silence

if TYPE_CHECKING:
    from detector.notification.labels import Labels
    from detector.notification.rules import NotificationRules
    from detector.protocols import Clock
    from detector.store.notification import NotificationFile

_LOOK_SECONDS = 60.0
"""How often is looked which silences hold, where nobody says or ends one: for the metric, and to forget old ones."""


class SilencesObserver(Protocol):
    """Who counts silences."""

    def silences(self, active: int) -> None:
        """Say how many hold."""


class Silences:
    """The first stage of the notifier: reads the silences anew whenever the file was written."""

    def __init__(
        self, file: NotificationFile, rules: NotificationRules, clock: Clock, observer: SilencesObserver
    ) -> None:
        self._file = file
        self._connection = file.connect()
        self._rules = rules
        self._clock = clock
        self._observer = observer
        self._silences: list[Silence] = []

    def accept(self, rules: NotificationRules) -> None:
        """Go by the mute times of other rules from now on."""
        self._rules = rules

    def begin(self) -> None:
        """Forget what has long been over."""
        with self._connection.writing() as sqlite:
            silences.forget(sqlite, self._clock.now())

    def turn(self) -> float:
        """Read the silences; returns the monotonic time when they are to be looked at again."""
        with self._connection.reading() as sqlite:
            kept = silences.read_all(sqlite, self._file.file)
        now = self._clock.now()
        self._silences = [silence for silence in kept if silence.state(now) != "expired"]
        if any(silence.over <= now - silences.KEEP_SECONDS for silence in kept):
            self.begin()
        self._observer.silences(sum(silence.state(now) == "active" for silence in self._silences))
        return self._clock.monotonic() + _LOOK_SECONDS

    def muted_by(self, labels: Labels, now: float, mute_times: Sequence[str]) -> Muted | None:
        """Return what mutes an incident at `now` (epoch seconds); `mute_times` are those of the route that it takes.

        A silence is named before a mute time: somebody has said it of these incidents.
        """
        for silence in self._silences:
            if silence.mutes(labels, now):
                return Muted(What.SILENCED, silence.id)
        for name in mute_times:
            if self._rules.mute_times[name].holds(now):
                return Muted(What.MUTED, name)
        return None
