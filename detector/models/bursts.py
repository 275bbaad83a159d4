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
    fault    anomalous rows of a burst by which it is a fault, and stays one: more are not counted
    """

    flagged: Bool
    parting: Bool
    fault: int


class Before(NamedTuple):
    """What was before each row [n]: rows and anomalous ones of its incident, the latter also of its burst."""

    rows: Int64
    flagged: Int64
    burst: Int64


def follow(state: NDArray[np.void], places: Int64 | Int32, rows: Rows) -> Before:
    """Advance the bursts of incidents by rows at their `places` [n], and return what was before each.

    `state` [P] has records of `incident_state.state_of`: rows and anomalous ones of it are read, and not counted here.
    """
    grouped = Grouped.of(places.astype(np.int64))
    order, first, at = grouped.order, grouped.first[grouped.group], places[grouped.order]
    flagged, parting = rows.flagged[order], rows.parting[order]
    so_far: Int64 = np.cumsum(flagged)
    earlier: Int64 = so_far - flagged
    more = earlier - earlier[first]
    parted = grouped.latest(parting[:, None])[0][:, 0]
    held = state["burst"][at]
    burst = np.where(parted < 0, held + more, earlier - so_far[parted])
    behind = np.where(parting, 0, burst + flagged)
    is_fault = behind >= rows.fault
    was_fault = (held >= rows.fault) | (grouped.latest(is_fault[:, None])[0][:, 0] >= 0)
    state["burst"][grouped.slots] = np.where(was_fault | is_fault, rows.fault, behind)[grouped.last]
    before = np.empty((3, len(order)), np.int64)
    before[0, order] = state["rows"][at] + np.arange(len(order)) - first
    before[1, order] = state["count"][at] + more
    before[2, order] = np.where(was_fault, rows.fault, burst)
    return Before(*before)
