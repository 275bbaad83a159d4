"""The labels that incidents have, and conditions on them that could never hold."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from detector.config.matchers import Matcher

LABELS = ("topic", "partition", "entity", "severity", "kind")
"""What every incident has."""

_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,63}")
_TAKEN = {*LABELS, "alertname", "fleet"}

VALUES = {"severity": ("warning", "critical"), "kind": ("anomaly", "absence")}
"""Labels that have one of few values."""


def _name(given: str) -> str:
    if given in _TAKEN:
        message = f"the label `{given}` has a meaning of its own: give it another name"
        raise ValueError(message)
    if not _NAME.fullmatch(given):
        message = f"the label `{given}` needs a name as Prometheus has them: letters, digits and underscores"
        raise ValueError(message)
    return given


LabelName = Annotated[str, AfterValidator(_name)]
"""The name of a label beside those that every incident has."""


def never_met(matchers: Iterable[Matcher], known: Collection[str]) -> str | None:
    """Say what is wrong with conditions that go by a label or a value that no incident has; None where nothing is.

    `known` are the labels that incidents have.
    """
    for matcher in matchers:
        if matcher.name not in known:
            return f"{matcher}: no incident has the label `{matcher.name}`; expected one of {', '.join(known)}"
        values = VALUES.get(matcher.name)
        if values is not None and not _distinguishes(matcher, values):
            return f"{matcher}: the {matcher.name} of an incident is one of {', '.join(values)}"
    return None


def _distinguishes(matcher: Matcher, values: Iterable[str]) -> bool:
    """Tell whether a value is among those that the condition names: what `!=` leaves out must be one of them, too."""
    return any(matcher.positive.matches({matcher.name: value}) for value in values)
