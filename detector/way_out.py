"""The way out of alerts, put together: the second page of the composition root, with the classes of notification."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from detector.alerts.build import build_letters
from detector.alerts.exchange import Exchange
from detector.config import sections
from detector.control.commands import Handler
from detector.notification.grouping import Grouping
from detector.notification.outward import Outward
from detector.notification.resending import Resending
from detector.notification.rules import NotificationRules
from detector.notification.silence_commands import SilenceCommands, commands_of
from detector.notification.silences import Silences
from detector.observing import Observing
from detector.protocols import Clock, Prepared, Sink
from detector.store.notification import NotificationFile
from detector.store.verdicts import KeptVerdicts


class WayOut:
    """What takes alerts from the partitions' outboxes to the sinks. It starts with the object.

    `parts` closes the file in the end; who built it closes `outward` before that.
    """

    def __init__(self, config: sections.Config, parts: ExitStack, clock: Clock, observing: Observing) -> None:
        self._exchange = Exchange(config, observing.template_failed)
        letters = build_letters(config)
        self._file = NotificationFile(config.store.path, keep_given_up=config.dead_letters.keep, now=clock.now)
        parts.callback(self._file.close)
        self._rules = rules = NotificationRules.of(config)
        silences = Silences(self._file, rules, clock, observing)
        self._grouping = Grouping(
            self._file, rules, clock, observing, muting=silences, verdicts=KeptVerdicts(self._file.connect())
        )
        self.outward = Outward(
            self._file,
            rules,
            (silences, self._grouping, Resending(self._file, rules, clock, observing)),
            sinks=self._exchange.sinks,
            letters=letters,
            clock=clock,
            observer=observing,
        )

    def commands(self) -> Sequence[tuple[str, Handler]]:
        """Return what an operator may ask of it."""
        file = self._file
        return commands_of(SilenceCommands(file.file, file.connect(), file.now, lambda: self._rules.labels))

    def hurry(self) -> None:
        """Tell what waits without waiting any longer: the daemon has read all there is."""
        self._grouping.hurry()

    def prepare(self, config: sections.Config) -> Prepared:
        """Make ready to take another configuration's sinks, routes, mute times and whatever else notification has."""
        rules = NotificationRules.of(config)

        def exchange(sinks: Sequence[Sink]) -> None:
            self._rules = rules
            self.outward.replace(sinks)
            self.outward.accept(rules)

        return self._exchange.prepare(config, exchange)
