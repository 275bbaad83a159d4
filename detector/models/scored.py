"""What is known of the rows of one turn when they are judged."""

from __future__ import annotations

import math
from typing import NamedTuple

from detector.models.program import StackScores
from detector.models.progress import Anomaly
from detector.models.reference import Placed
from detector.models.relations_state import Related
from detector.models.view import View
from detector.types import Bool, Float32, Float64, Int64

FILTERED = -2
"""Stands for the filters among what spares a row."""


class Scored(NamedTuple):
    """One turn's scores, over those n rows of its block that were laid out.

    turn        its place in the stack, and `of` what the program said of the stack
    distance    float32 [n]     NaN where not scored
    views       of the rows: by that distance and, where they are kept, by relations; without what filters leave out,
                and smoothed where that is asked for
    spared      int64   [n]     why the first view sees less than the distance: a place among `known`, -2 = filters,
                                -1 = it does not; None where nothing of the kind is in force
    related     what the relations say of all rows of the block, where they are kept
    seen        the view that is the more surprised by each row, its distance in the units of the first
    at          places on the reference's scale
    rates       float64 [n]     UNSCORED where not scored
    warm        bool    [n]     whether the slot knows enough for its scores to count
    least_rate  the least rate that the reference supports
    """

    turn: int
    of: StackScores
    distance: Float32
    views: list[View]
    spared: Int64 | None
    related: Related | None
    seen: View
    at: Placed
    rates: Float64
    warm: Bool
    least_rate: float

    def anomaly(  # noqa: PLR0913 - what the model of a partition knows of a row beside its scores
        self, at: int, row: int, *, observed: Float64, since: float, threshold: float, version: int, block: int
    ) -> Anomaly:
        """Describe the row at place `at` of the block, seen as `observed` [D], whose slot has drifted since then."""
        rate = float(self.rates[at])
        return Anomaly(
            row=row,
            score=0.0 - math.log10(rate),
            at_least=rate <= self.least_rate,
            distance=float(self.distance[at]),
            since=None if math.isnan(since) else since,
            threshold=threshold,
            model_version=version,
            block=block,
            centroid=int(self.of.centroid[self.turn, at]),
            observed=observed,
            expected=self.seen.expected[at],
            parts=self.seen.parts[at],
        )
