"""The gate that a candidate has to pass to be adopted: a pure function of what its shadow counted.

A candidate passes for a slot where it describes the rows that the model learns at least as well as the model does, and
still flags nine in ten of the rows kept apart that the model clearly flags. It is adopted for those slots, unless the
rows that it flags there are many more than the model's or the target's. Without the second condition a candidate that
absorbed a burst would pass: its error is lower, and it flags less.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from detector.types import Bool, Float64, Int64

_LEAST_ROWS = 64
"""Rows of a slot that must have been compared."""
_STILL_FLAGGED = 0.9


class Reason(StrEnum):
    """What was decided, and why: a bounded set."""

    ADOPTED = "adopted"
    ERROR = "error"
    ALERT_RATE = "alert_rate"
    KEPT_APART = "kept_apart"
    FEW_ROWS = "few_rows"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a shadow counted of n slots, float64 [n] each.

    rows, error, error_before  normal rows compared, and the sums of their squared standardised distances to the nearest
                               centroid of the candidate and of the model
    flagged, flagged_before    rows flagged by each
    apart, still_flagged       rows kept apart that the model flags, and those of them that the candidate flags
    """

    rows: Float64
    error: Float64
    error_before: Float64
    flagged: Float64
    flagged_before: Float64
    apart: Float64
    still_flagged: Float64


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided, for which slots (their places [m]), and what was measured over the slots it was decided by."""

    reason: Reason
    slots: Int64
    rows: int
    error: float
    error_before: float
    flagged: int
    flagged_before: int
    apart: int
    still_flagged: int

    @property
    def adopted(self) -> bool:
        """Whether the candidate takes the model's place."""
        return self.reason is Reason.ADOPTED

    def measures(self) -> dict[str, Any]:
        """Return what was measured, as JSON values."""
        return {name: value for name, value in asdict(self).items() if name not in {"reason", "slots"}}

    def sentence(self) -> str:
        """Say it for people."""
        error = f"error {self.error:.3g} after {self.error_before:.3g}"
        flags = f"{self.flagged} of {self.rows} rows flagged after {self.flagged_before}"
        match self.reason:
            case Reason.ADOPTED:
                return f"adopted: {error}, {flags}, {self.still_flagged} of {self.apart} rows kept apart still flagged"
            case Reason.ERROR:
                return f"refused: it describes normal rows worse than the model does ({error})"
            case Reason.ALERT_RATE:
                return f"refused: it would alert too often ({flags})"
            case Reason.KEPT_APART:
                return f"refused: it flags only {self.still_flagged} of {self.apart} rows that were kept apart"
            case Reason.FEW_ROWS:
                return f"refused: only {self.rows} rows came to compare it by"
            case Reason.SUPERSEDED:
                return "refused: the model it was made for has been replaced"


def decide(seen: Seen, usable: Bool, target: float) -> Decision:
    """Judge a candidate of n slots by what was seen, for those that are `usable` [n]; `target` is the alert rate."""
    rows = np.maximum(seen.rows, 1.0)
    passing, reason = usable, Reason.ADOPTED
    for condition, otherwise in (
        (seen.rows >= _LEAST_ROWS, Reason.FEW_ROWS),
        (seen.still_flagged >= _STILL_FLAGGED * seen.apart, Reason.KEPT_APART),
        (seen.error / rows <= seen.error_before / rows, Reason.ERROR),
    ):
        if not (passing & condition).any():
            reason = otherwise
            break
        passing = passing & condition
    slots = np.flatnonzero(passing)
    totals = {name: float(getattr(seen, name)[slots].sum()) for name in Seen.__slots__}
    if reason is Reason.ADOPTED and totals["flagged"] > _most(target * totals["rows"], totals["flagged_before"]):
        reason = Reason.ALERT_RATE
    return Decision(
        reason,
        slots if reason is Reason.ADOPTED else np.zeros(0, np.int64),
        int(totals["rows"]),
        totals["error"] / max(totals["rows"], 1.0),
        totals["error_before"] / max(totals["rows"], 1.0),
        int(totals["flagged"]),
        int(totals["flagged_before"]),
        int(totals["apart"]),
        int(totals["still_flagged"]),
    )


def _most(expected: float, before: float) -> float:
    """Return how many rows may be flagged: twice what is aimed at or as many as before, and by chance a few more."""
    usual = max(before, 2.0 * expected)
    return usual + 3.0 * math.sqrt(usual)
