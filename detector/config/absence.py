"""When an entity that used to speak counts as absent: all of it by the event time of its partition."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from detector.config.section import Section
from detector.config.units import NUMBER, Seconds


class Absence(Section):
    """An entity that stops sending is told of, and so is that it sends again. Without an entity field nobody can be."""

    enabled: bool = True
    """Whether entities are waited for at all."""
    known_for: Seconds = 7 * 86400.0
    """An entity is waited for once it has been seen for so long; its longest pause counts half after as much time."""
    factor: Annotated[float, Field(ge=1), NUMBER] = 2.0
    """It is absent when it has been silent for so many times its longest pause of late ..."""
    at_least: Seconds = 300.0
    """... and for so long in any case."""
    give_up: Seconds = 86400.0
    """After so much absence it is waited for no longer, until it speaks again."""
    share: Annotated[float, Field(gt=0, le=1), NUMBER] = 0.2
    """Where more than this share of a partition's entities is absent, those that stop together are one finding."""
    idle_after: Literal["auto"] | Seconds = "auto"
    """A partition without any record for so long, by the clock, is told of in the log and in the metric
    `partition_idle_seconds`; it is no finding, as no log says so. auto = 10 minutes, or twice the partition's longest
    pause of late where that is longer."""
