"""Habit: what fills more than a third of a slot's days is how the slot is, and no fault of it any more.

Rows of a fault may not count as normal; but what lasts has to, or its slot alerts for ever. That goes by the share of
its time that a slot was faulty in of late, not by how long one incident has lasted: of a slot whose sketch has come to
be too small each day may bring another incident, and were all of their rows left out, the sketch would follow those
alone that are small, and ever more would alert. (Of NAB's tweets one stream had half of its rows flagged after six
weeks.)

At the boundary behind a block with n rows of a slot, f of them faulty, its usual interval being t,

    share <- share + (1 - 2^(-n t / (1.7 promote_after))) (f / n - share)

so that one fault by itself comes to a third after `promote_after`, and one of an eighth of that to a twentieth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from detector.models.bank import Bank
from detector.models.stacking import distinct
from detector.types import Bool, Int64

_MOST = 1.0 / 3.0
"""More is a habit. Spikes of one row in two hundred, which are strays, echo in 64 of those."""
_HALF_LIFE = 1.7
"""Times `promote_after`."""
_LATELY = 0.01
"""A slot with a greater share had a fault of late. A third is down to it after five half-lives."""
_OVER = 1e-3
"""A share that is less is none, so that slots need not be followed for ever."""
_FEW, _RECENT = 1.0 / 3.0, 4096.0
"""Share of the rows up to which slots that had faults are few, and the half-life in rows that it is told by. So many of
the anomalous rows that came by chance are left out, at most: half of a factor of 2 in the rate."""
_ANEW = 500.0
"""Rows that a sketch counts for, at most, when a habit begins: it must move on to other scores soon."""


class Held(NamedTuple):
    """The rows of a complete block [n].

    faulty    may not count as normal
    habitual  their slot has a habit: its sketch follows them however far out they are
    beset     their slot had a fault of late, or has a habit: what it is like is not settled
    """

    faulty: Bool
    habitual: Bool
    beset: Bool


@dataclass(slots=True)
class Few:
    """Whether slots that had faults of late are few, so that the others tell what is usual without them.

    All slots share the reference: a host whose faults come and go would leave the first rows of each there, until those
    of no other host stood out. Its own sketch follows it. But where such slots are no minority their anomalous rows are
    let in: with all that alerts left out the threshold would fall, and ever more alert.

    share  of the rows that were of such slots, over the last thousands
    """

    share: float = 0.0

    def left_out(self, beset: Bool, flagged: Bool) -> Bool:
        """Tell which rows [n] of a complete block stay out of the reference, by the share before it, which follows."""
        few = self.share <= _FEW
        self.share += (1.0 - 2.0 ** (-len(beset) / _RECENT)) * (float(beset.mean()) - self.share)
        return beset & flagged & few


def follow(bank: Bank, slots: Int64, faulty: Bool, *, promote_after: float) -> Held:
    """Return which rows [n] of a complete block are held, of those `faulty` [n], by the shares before the block.

    The shares follow, in place: what is a habit counts as if it were faulty still.
    """
    placed = slots >= 0
    shares = bank.faulty_share
    if not faulty.any() and not shares[slots[placed]].any():
        return Held(faulty, *np.zeros((2, len(slots)), np.bool_))
    present, group = distinct(slots[placed], bank.capacity)
    rows = np.bincount(group, minlength=len(present))
    share = np.bincount(group, faulty[placed], minlength=len(present)) / rows
    left = np.exp2(-rows * np.nan_to_num(bank.interval[present]) / (_HALF_LIFE * promote_after))
    before = shares[present]
    after = share + left * (before - share)
    shares[present] = np.where(after < _OVER, 0.0, after)
    begun = present[(before <= _MOST) & (after > _MOST)]
    bank.sketches[begun, :, 2] = np.minimum(bank.sketches[begun, :, 2], _ANEW)
    habitual, beset = np.zeros((2, len(slots)), np.bool_)
    habitual[placed], beset[placed] = (before > _MOST)[group], (before > _LATELY)[group]
    return Held(faulty & ~habitual, habitual, beset)
