"""Which entities learn."""

from __future__ import annotations

from typing import Literal

from detector.config.section import Section

Mode = Literal["learn", "freeze", "quarantine"]


class Learning(Section):
    """Which entities learn; `detector learning` says otherwise while the daemon runs."""

    default: Mode = "learn"
    """`learn`: rows are learned (those beyond `model.gate` go to quarantine). `freeze`: rows are scored, and change
    neither the model nor the reference; an entity that has learned nothing yet is not scored. `quarantine`: as `learn`,
    with the learning gate at the alert threshold, so that nothing that alerts is learned until it has turned out to be
    a new normal (`model.promote_count`, `model.promote_after`)."""
    entities: dict[str, Mode] = {}
    """Modes of entities by name or pattern (`*`, `?`, `[a-z]`); the first that matches counts, then `default`."""
