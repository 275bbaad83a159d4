"""What an operator wants to hear of a feature."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from detector.config.section import Section
from detector.config.units import NUMBER


class Filter(Section):
    """When a feature counts towards a score: when all that is given here holds for its value.

    What is expected is the value of the nearest centroid that defines normal. Where a feature does not count, its part
    of the distance is left out of the score, in all that a score is: its calibration, alerts, shares. What the model
    learns, and the learning gate, know of no filter. Where a feature has transforms its value is what they make of it.
    """

    direction: Literal["both", "rise", "drop"] = "both"
    """The value lies above what is expected (`rise`), below it (`drop`), or on either side."""
    min_deviation: Annotated[float, Field(ge=0), NUMBER] = 0.0
    """It lies at least so far from it, in the feature's unit."""
    min_relative_deviation: Annotated[float, Field(ge=0), NUMBER] = 0.0
    """It lies at least so far from it, as a share of what is expected (0.2 = 20 %)."""
    allowed: tuple[float | None, float | None] | None = None
    """It lies outside this range, [least, greatest]; null leaves an end open. A value inside never counts; one outside
    counts as any value does, and is no alarm by itself."""

    @field_validator("allowed")
    @classmethod
    def _ordered(cls, given: tuple[float | None, float | None] | None) -> tuple[float | None, float | None] | None:
        if given is not None and given[0] is not None and given[1] is not None and given[0] > given[1]:
            message = f"the least value allowed, {given[0]:g}, is above the greatest, {given[1]:g}"
            raise ValueError(message)
        return given
