"""Calm: for how long a slot's rows have been under the lower threshold, which is what ends its incident.

Calm is counted from the last row at or beyond that threshold, in rows and in event time. Where many rows come in that
time, chance alone puts some of them beyond it, and no incident would ever end. So some may be allowed: a row does not
break the calm as long as those that did not, it included, are no more than so many times what chance gives to as many
rows: `allowed` times the rows. A fault that is denser goes over that line before long, wherever it began, and one
whose rows come in bursts does so at each burst. What is critical is no chance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.types import Bool, Float64, Int32


class Noise(NamedTuple):
    """Rows of open incidents, in log order, as calm is judged by them.

    places   int32   [n]  of their incidents
    times    float64 [n]  the partition's event time behind each
    loud     bool    [n]  whether the row is at or beyond the lower threshold, and `grave` whether it is critical
    allowed  loud rows that do not break the calm, as a share of its rows; 0 = none
    """

    places: Int32
    times: Float64
    loud: Bool
    grave: Bool
    allowed: float


def follow(state: NDArray[np.void], rows: Noise) -> None:
    """Advance the calm of incidents, whose `state` [P] has records of `incident_state.state_of`."""
    present, group = np.unique(rows.places, return_inverse=True)
    quiet = state["quiet"][present]
    bearing = rows.allowed * (quiet + np.bincount(group, minlength=len(present))) >= 1.0
    walked = [_walk(state[present[g]], _part(rows, group == g)) for g in np.flatnonzero(bearing).tolist()]
    at = np.arange(len(group))
    last = np.full(len(present), -1)
    breaking = rows.loud & ~bearing[group]
    np.maximum.at(last, group[breaking], at[breaking])
    broken = last >= 0
    state["quiet"][present[broken]] = state["stray"][present[broken]] = 0
    state["loud"][present[broken]] = rows.times[last[broken]]
    np.add.at(state["quiet"], rows.places[at > last[group]], 1)
    for place, (calm, stray, loud) in zip(present[bearing].tolist(), walked, strict=True):
        state["quiet"][place], state["stray"][place], state["loud"][place] = calm, stray, loud


def _part(rows: Noise, chosen: Bool) -> Noise:
    return Noise(rows.places[chosen], rows.times[chosen], rows.loud[chosen], rows.grave[chosen], rows.allowed)


def _walk(state: np.void, rows: Noise) -> tuple[int, int, float]:
    """Take one incident's rows, the loud ones one by one; returns rows of calm, strays among them, and its begin."""
    begin, stray, since = -int(state["quiet"]), int(state["stray"]), float(state["loud"])
    for i in np.flatnonzero(rows.loud).tolist():
        if not rows.grave[i] and stray + 1 <= rows.allowed * (i + 1 - begin):
            stray += 1
        else:
            begin, stray, since = i + 1, 0, float(rows.times[i])
    return len(rows.loud) - begin, stray, since
