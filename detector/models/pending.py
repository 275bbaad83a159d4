"""Pending: what is usual of a slot's distances is taken up only once it has proved to be no fault's beginning.

A fault that creeps up, or is weak, stays under the threshold for a while. If its rows were usual at once, they would
raise the threshold as fast as they rise: the quantile that a leak was judged by went from 2.9 to 8.7 along with it, and
none of nine was found. So rows are judged by a sketch that is in use, while another one, pending, learns them. It is
taken up after so many rows, if none of late was far out; and thrown away where an incident shows that they were faulty.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.models.calibration import followed
from detector.types import Bool, Float64, Int64

_LAG = 256.0
"""Rows after which what is pending is taken up; of a young slot a quarter of those that it knows."""
_LONGEST = 8.0 * _LAG
"""Rows after which it is even so: what has been far out for so long, and is no incident, is how the slot is now."""


def state_of() -> list[tuple[str, Any, tuple[int, ...]]]:
    """Return the fields that a slot keeps: both sketches, as `calibration` has them, and the rows of one pending."""
    return [("sketch", np.float64, (3,)), ("pending", np.float64, (3,)), ("pending_rows", np.float64, ())]


def follow(  # noqa: PLR0913 - a block's rows, and what is known of each
    states: NDArray[np.void], slots: Int64, distance: Float64, *, far: Bool, faulty: Bool, promoted: Bool
) -> None:
    """Learn the distances [n] of a complete block's rows of slots [n]; NaN = the row may not count as normal.

    `far` [n] are far out by the sketch in use, `faulty` [n] came within an incident that is no chance, and `promoted`
    [n] are what is normal now: with them what is pending is taken up at once.
    """
    broken = np.unique(slots[faulty])
    states["pending"][broken] = states["sketch"][broken]
    states["pending_rows"][broken] = 0
    known = ~np.isnan(distance)
    if not known.any():
        return
    present, group = np.unique(slots[known], return_inverse=True)
    own = states[present]
    own["pending"] = followed(own["pending"], distance[known], group)
    own["pending_rows"] += np.bincount(group)
    calm = np.bincount(group, far[known]) == 0
    enough = own["pending_rows"] >= np.minimum(_LAG, own["sketch"][:, 2] / 4.0)
    taken = (enough & (calm | (own["pending_rows"] >= _LONGEST))) | (np.bincount(group, promoted[known]) > 0)
    own["sketch"][taken], own["pending_rows"][taken] = own["pending"][taken], 0.0
    states[present] = own
