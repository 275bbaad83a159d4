"""Echoes: smoothed scores remember a stray for dozens of rows, which are no more usual than it is.

They would fill the tail of the reference, and hide the next stray, of a stream that has had them from the outset. So
rows do not count as normal for a while behind one that lies, by itself, far beyond all that may.
"""

from __future__ import annotations

import numpy as np

from detector.features.grouping import Grouped
from detector.types import Bool, Int64

LASTING = 64
"""Rows, with the stray itself: of half-lives of 1, 10 and 100 rows the mean remembers a five-hundredth of it then."""


def follow(left: Int64, slots: Int64, stray: Bool) -> Bool:
    """Tell which rows [n] of a complete block are strays, or come so soon behind one of their slot.

    `left` [S] is for how many rows of each slot that goes on, and is advanced in place; rows of slot -1 have none.
    """
    echo = np.zeros(len(slots), np.bool_)
    placed = np.flatnonzero(slots >= 0)
    if not stray[placed].any() and not left[slots[placed]].any():
        return echo
    by_slot = Grouped.of(slots[placed])
    first, last, order = by_slot.first, by_slot.last, placed[by_slot.order]
    at = np.arange(len(order)) - first[by_slot.group]
    ends = np.where(stray[order], at + LASTING, 0)
    ends[first] = np.maximum(ends[first], left[by_slot.slots])
    apart = by_slot.group * (len(order) + LASTING)  # so that one slot's do not reach into the next one's
    ends = np.maximum.accumulate(ends + apart) - apart
    left[by_slot.slots] = np.maximum(ends[last] - at[last] - 1, 0)
    echo[order] = ends > at
    return echo
