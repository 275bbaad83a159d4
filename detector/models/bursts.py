"""Bursts: the anomalous rows of an incident that belong together, by whose number a fault is told from chance.

Where scores are smoothed one event lifts the rows behind it, too, until one is calm again (under the lower threshold).
Several events that came by chance are no fault, however many rows they lift together: so a calm row ends a burst. Where
scores are not smoothed rows speak for themselves, and a burst is as long as its incident.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.features.grouping import Grouped
from detector.types import Bool, Float64, Int32, Int64


class Rows(NamedTuple):
    """Rows of open incidents, in log order.

    flagged  bool [n]  whether the row is at or beyond the threshold
    parting  bool [n]  whether it ends a burst
    """

    flagged: Bool
    parting: Bool


class Before(NamedTuple):
    """What was before each row [n]: rows and anomalous ones of its incident, the latter also of its burst."""

    rows: Int64
    flagged: Int64
    burst: Int64


def before(state: NDArray[np.void], slots: Int64, times: Float64, rows: Rows) -> Before:
    """Return what was before each of the rows, which are of `slots` [n], whose incidents' `state` [n] is given."""
    grouped = Grouped.of(slots, times)
    order = grouped.order
    flagged = rows.flagged[order]
    so_far: Int64 = np.cumsum(flagged)
    earlier: Int64 = so_far - flagged
    first = grouped.first[grouped.group]
    length, more = np.arange(len(order)) - first, earlier - earlier[first]
    parted = grouped.latest(rows.parting[order][:, None])[0][:, 0]
    held = state[order]
    burst = np.where(parted < 0, held["burst"] + more, earlier - so_far[parted])
    there = np.empty_like(order)
    there[order] = np.arange(len(order))
    return Before((held["rows"] + length)[there], (held["count"] + more)[there], burst[there])


def follow(state: NDArray[np.void], places: Int64 | Int32, rows: Rows) -> None:
    """Advance the bursts of incidents by rows at their `places` [n]; `state` [P] is of `incident_state.state_of`."""
    present, group = np.unique(places, return_inverse=True)
    at, parted = np.arange(len(places)), np.full(len(present), -1)
    np.maximum.at(parted, group[rows.parting], at[rows.parting])
    state["burst"][present[parted >= 0]] = 0
    np.add.at(state["burst"], places[rows.flagged & (at > parted[group])], 1)
