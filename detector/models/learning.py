"""Learning modes: which entities learn, by configuration and by what operators said since.

learn       rows are learned; those beyond the learning gate, where the model has one, go to quarantine
freeze      rows are scored, and change neither the model nor the references
quarantine  as `learn`, with the gate at the alert threshold: nothing that alerts is learned, until it has turned
            out to be a new normal
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import translate

from detector.config.learning import Learning as Configured

MODES = ("learn", "freeze", "quarantine")
LEARN, FREEZE, QUARANTINE = range(len(MODES))
ALL = "*"
"""The pattern that every entity matches."""
CONFIGURED = "default"
"""What an operator says so that the configuration decides again."""


class Learning:
    """Finds the mode of an entity. Of what operators said the latest that matches counts, else the configuration.

    `said` maps patterns, in the order in which they were said, to modes or to CONFIGURED.
    """

    def __init__(self, configured: Configured, said: Mapping[str, str]) -> None:
        self.said = dict(said)
        self.configure(configured)

    def configure(self, configured: Configured) -> None:
        """Go on by another configuration."""
        self._default = MODES.index(configured.default)
        self._configured = _Rules(reversed(configured.entities.items()))  # there the first that matches counts
        self._said = _Rules(self.said.items())

    def say(self, pattern: str, mode: str) -> None:
        """Let entities that match a pattern have a mode from now on; what is said of ALL replaces what was said."""
        if pattern == ALL:
            self.said.clear()
        self.said.pop(pattern, None)
        if (pattern, mode) != (ALL, CONFIGURED):
            self.said[pattern] = mode
        self._said = _Rules(self.said.items())

    def mode_of(self, entity: str) -> int:
        """Return the number of an entity's mode, as MODES has it."""
        mode = self._said.last(entity)
        if mode is None or mode == CONFIGURED:
            mode = self._configured.last(entity)
        return self._default if mode is None else MODES.index(mode)


class _Rules:
    """Patterns and what follows from them; `*`, `?` and `[...]` are as a shell has them, and each matches itself."""

    def __init__(self, rules: Iterable[tuple[str, str]]) -> None:
        self._values: list[str] = []
        self._exact: dict[str, int] = {}
        self._patterns: list[tuple[int, re.Pattern[str]]] = []
        for number, (pattern, value) in enumerate(rules):
            self._values.append(value)
            self._exact[pattern] = number
            if any(sign in pattern for sign in "*?["):
                self._patterns.append((number, re.compile(translate(pattern))))
        self._patterns.reverse()

    def last(self, entity: str) -> str | None:
        """Return what the last pattern that an entity matches says."""
        best = self._exact.get(entity, -1)
        for number, pattern in self._patterns:
            if number < best:
                break
            if pattern.match(entity):
                best = number
                break
        return self._values[best] if best >= 0 else None
