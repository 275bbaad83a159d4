"""Bursts: the anomalous rows of an incident that belong together, by whose number a fault is told from chance.

Where scores are smoothed one event lifts the rows behind it, too, until one is calm again (under the lower threshold).
Several events that came by chance are no fault, however many rows they lift together: so a calm row ends a burst. Where
scores are not smoothed rows speak for themselves, and a burst is as long as its incident. A burst that has become a
fault ends with its incident in any case: what flickers is not over.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.features.grouping import Grouped
from detector.types import Bool, Int32, Int64


class Rows(NamedTuple):
    """Rows of open incidents, in log order.

    flagged  bool [n]  whether the row is at or beyond the threshold
    parting  bool [n]  whether it ends a burst
    fault    anomalous rows of a burst by which it is a fault: more are not counted
    """

    flagged: Bool
    parting: Bool
    fault: int


class Before(NamedTuple):
    """What was before each row [n]: rows and anomalous ones of its incident, the latter also of its burst."""

    rows: Int64
    flagged: Int64
    burst: Int64


def before(state: NDArray[np.void], slots: Int64, rows: Rows) -> Before:
    """Return what was before each of the rows, which are of `slots` [n], whose incidents' `state` [n] is given."""
    grouped = Grouped.of(slots, np.zeros(len(slots)))
    order, held = grouped.order, state[grouped.order]
    flagged = rows.flagged[order]
    earlier: Int64 = np.cumsum(flagged) - flagged
    first = grouped.first[grouped.group]
    length, more = np.arange(len(order)) - first, earlier - earlier[first]
    burst = _bursts(grouped, held["burst"], rows)[0]
    there = np.empty_like(order)
    there[order] = np.arange(len(order))
    return Before((held["rows"] + length)[there], (held["count"] + more)[there], burst[there])


def follow(state: NDArray[np.void], places: Int64 | Int32, rows: Rows) -> None:
    """Advance the bursts of incidents by rows at their `places` [n]; `state` [P] is of `incident_state.state_of`."""
    grouped = Grouped.of(places.astype(np.int64), np.zeros(len(places)))
    behind = _bursts(grouped, state["burst"][places[grouped.order]], rows)[1]
    state["burst"][grouped.slots] = behind[grouped.last]


def _bursts(grouped: Grouped, held: Int64, rows: Rows) -> tuple[Int64, Int64]:
    """Return the anomalous rows of the burst before and behind each row [n], in the order of groups.

    `held` [n] are those before all. No more are counted than make a fault, and these stay.
    """
    flagged, parting = rows.flagged[grouped.order], rows.parting[grouped.order]
    so_far: Int64 = np.cumsum(flagged)
    first = grouped.first[grouped.group]
    parted = grouped.latest(parting[:, None])[0][:, 0]
    carried = held + so_far - flagged - (so_far - flagged)[first]
    before_each = np.where(parted < 0, carried, so_far - flagged - so_far[parted])
    behind_each = np.where(parting, 0, before_each + flagged)
    is_fault = behind_each >= rows.fault
    was = (held >= rows.fault) | (grouped.latest(is_fault[:, None])[0][:, 0] >= 0)
    return np.where(was, rows.fault, before_each), np.where(was | is_fault, rows.fault, behind_each)
