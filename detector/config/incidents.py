"""When anomalous events open an incident, and when it resolves: all of it by event time and counts of rows."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from detector.config.section import Section
from detector.config.units import NUMBER, Count, Seconds

CALM_TIME = 300.0
"""Seconds of calm that end an incident, where nothing else is said ..."""
CALM_ROWS = 20
"""... if there are so many rows of it: of an entity that speaks every five minutes one row alone would end it, and the
next begin another. Twice the middle one of the half-lives that scores of metrics are smoothed by, as many as one event
lifts."""


NO_DATA_TIME = 3600.0
"""Seconds without a row that end an incident, where nothing else is said, of what usually has many in them."""


class OpenAfter(Section):
    """How many anomalous rows open an incident."""

    rows: Count = 1
    """So many of an entity's rows must be anomalous ..."""
    of: Annotated[int, Field(ge=1, le=63), NUMBER] = 1
    """... of its last so many."""

    @model_validator(mode="after")
    def _possible(self) -> OpenAfter:
        if self.rows > self.of:
            message = f"{self.rows} of the last {self.of} rows can never be anomalous: `rows` must not exceed `of`"
            raise ValueError(message)
        return self


class ResolveAfter(Section):
    """How long an entity's rows must be under the lower threshold: what comes first where both are given."""

    rows: Count | None = None
    """So many rows in a row."""
    time: Seconds | None = None
    """So much event time."""

    @model_validator(mode="before")
    @classmethod
    def _accept_duration(cls, given: object) -> object:
        return {"time": given} if isinstance(given, (str, int, float)) and not isinstance(given, bool) else given

    @model_validator(mode="after")
    def _ends(self) -> ResolveAfter:
        if self.rows is None and self.time is None:
            message = "give `rows`, `time`, or both: else no incident would ever resolve"
            raise ValueError(message)
        return self


class Incidents(Section):
    """One fault of an entity is one incident: it opens, is updated, and resolves."""

    open_after: OpenAfter = OpenAfter()
    """How many anomalous rows open one: `rows` of the last `of`. One is enough where scores are smoothed."""
    resolve_below: Annotated[float, Field(ge=0), NUMBER] = 0.5
    """So many decades of the score under the threshold lies a second one, under which an incident calms down."""
    resolve_after: Literal["auto"] | ResolveAfter = "auto"
    """How long rows must stay under it for the incident to resolve: a duration of event time, or {rows:, time:}. auto =
    5 minutes, but no fewer than 20 rows, so that it fits what speaks seldom; and where so many rows come in that time
    that chance puts some of them beyond it, three times as many do not count."""
    repeat_interval: Seconds = 4 * 3600.0
    """An incident that lasts is told again after so much event time."""
    no_data_after: Literal["auto"] | Seconds | None = "auto"
    """An incident whose entity sends nothing for so much of its partition's event time resolves; null = it stays; auto
    = 1 hour, or 20 times the entity's usual interval where that is longer."""
