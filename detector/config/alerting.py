"""From which score on an event is anomalous."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from detector.config.section import Section
from detector.config.units import NUMBER

_BUDGET = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*(hour|day|week)(\s+per\s+entity)?\s*")
_DAYS = {"hour": 1 / 24, "day": 1.0, "week": 7.0}

BEYOND = 30.0
"""A reference of n scores supports rates down to 1 / (BEYOND n); further out a score says `at least`."""


def supported_by(half_life: float) -> float:
    """Return the least rate that a reference of this half-life, in events, supports once it is full."""
    return 1.0 / (BEYOND * (half_life / math.log(2.0) + 1.0))


class Budget(Section):
    """How many incidents people will look at, where nothing is wrong."""

    incidents: Annotated[float, Field(gt=0), NUMBER] = 5.0
    """So many incidents that open ..."""
    per: Literal["hour", "day", "week"] = "day"
    """... in so much event time ..."""
    of: Literal["all", "entity"] = "all"
    """... over all entities of all partitions, or of each entity."""

    @model_validator(mode="before")
    @classmethod
    def _accept_words(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        match = _BUDGET.fullmatch(given)
        if match is None:
            message = "expected a budget such as 5/day, 20/week, or 1/week per entity"
            raise ValueError(message)
        return {"incidents": float(match[1]), "per": match[2], "of": "entity" if match[3] else "all"}

    @property
    def a_day(self) -> float:
        """Incidents a day."""
        return self.incidents / _DAYS[self.per]

    def __str__(self) -> str:
        return f"{self.incidents:g}/{self.per}{' per entity' if self.of == 'entity' else ''}"


class Alerting(Section):
    """From which score on an event is anomalous."""

    budget: Budget | None = Budget()
    """How many incidents may open: `5/day`, `1/week per entity`, or {incidents:, per:, of:}. From it, and from how many
    events there are, follows the rate; where more open, it falls, to a tenth at least; a new partition begins
    there."""
    false_alarm_rate: Annotated[float, Field(ge=1e-6, le=1e-1), NUMBER] | None = None
    """Instead of a budget: the share of normal events that may be flagged; an event is anomalous from score -log10 of
    it."""
    critical_decades: Annotated[float, Field(ge=0), NUMBER] = 2.0
    """How many decades beyond the threshold an incident is `critical` rather than `warning`."""
    reference: Annotated[int, Field(ge=1000), NUMBER] = 100_000
    """Recent scores of the partition, half-life in events, that a rate is judged against."""
    warm_up: Annotated[int, Field(ge=100), NUMBER] = 1_000
    """Scores that the reference must hold before anything alerts."""

    @model_validator(mode="before")
    @classmethod
    def _take_either(cls, given: object) -> object:
        if isinstance(given, dict) and given.get("false_alarm_rate") is not None and "budget" not in given:
            return {**given, "budget": None}
        return given

    @model_validator(mode="after")
    def _exactly_one(self) -> Alerting:
        if (self.budget is None) == (self.false_alarm_rate is None):
            message = "give either `budget` or `false_alarm_rate`, not both and not neither"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _supported(self) -> Alerting:
        least, rate = supported_by(self.reference), self.false_alarm_rate
        if rate is not None and rate < least:
            message = (
                f"a reference of half-life {self.reference:,} can tell rates down to {least:.1e}, so that with "
                f"`false_alarm_rate: {rate:g}` nothing would ever alert; raise `reference` or `false_alarm_rate`"
            )
            raise ValueError(message)
        return self
