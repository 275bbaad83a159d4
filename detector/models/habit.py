"""Habit: what fills more than a third of a slot's days is how the slot is, and no fault of it any more.

Rows of a fault may not count as normal; but what lasts has to, or its slot alerts for ever. That goes by the share of
its time that a slot was faulty in of late, not by how long one incident has lasted: of a slot whose sketch has come to
be too small each day may bring another incident, and were all of their rows left out, the sketch would follow those
alone that are small, and ever more would alert. (Of NAB's tweets one stream had a third of its rows told of.)

At the boundary behind a block with n rows of a slot that may learn, f of them faulty, its usual interval being t,

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
"""More is a habit. Spikes of one row in two hundred, which are strays, echo in 64 of those two hundred."""
_HALF_LIFE = 1.7
"""Times `promote_after`."""
_LATELY = 0.01
"""A slot with a greater share had a fault of late. A third is down to it after five half-lives."""
_OVER = 1e-3
"""A share that has fallen to less is none, so that slots need not be followed for ever."""
_FEW, _RECENT = 1.0 / 3.0, 65_536.0
"""Share of the rows up to which slots that had faults are few, and the half-life in rows that it is told by: a day of
fifty hosts that speak every minute, and two rounds of thirty thousand."""


class Held(NamedTuple):
    """The rows of a complete block [n].

    faulty  may not count as normal
    beset   their slot had a fault of late, or a habit: what it is like is not settled
    """

    faulty: Bool
    beset: Bool


@dataclass(slots=True)
class Few:
    """Whether slots that had faults of late are few, so that the others tell what is usual without them.

    All slots share the reference: a host whose faults come and go would leave the first rows of each there, until those
    of no other host stood out. Its own sketch follows it. But where such slots are no minority their anomalous rows are
    let in: with all that alerts left out the threshold would fall, and ever more alert.

    share  of the rows that were of such slots, over the last tens of thousands
    """

    share: float = 0.0

    def left_out(self, beset: Bool, flagged: Bool) -> Bool:
        """Tell which rows [n] of a complete block stay out of the reference, by the share before it, which follows."""
        few = self.share <= _FEW
        self.share += (1.0 - 2.0 ** (-len(beset) / _RECENT)) * (int(np.count_nonzero(beset)) / len(beset) - self.share)
        return beset & flagged & few


def follow(bank: Bank, slots: Int64, able: Bool, faulty: Bool, *, promote_after: float) -> Held:
    """Return which rows [n] of a complete block are held, of those `faulty` [n], by the shares before the block.

    The shares follow the rows that are `able` to learn, in place: what is a habit counts as if it were faulty still.
    """
    shares, counted = bank.faulty_share, able & (slots >= 0)
    beset = np.zeros(len(slots), np.bool_)
    if not counted.any() or not (faulty.any() or shares[slots[counted]].any()):
        return Held(faulty, beset)
    present, group = distinct(slots[counted], bank.capacity)
    rows = np.bincount(group, minlength=len(present))
    now = np.bincount(group, faulty[counted], minlength=len(present)) / rows
    kept = np.exp2(-rows * np.nan_to_num(bank.interval[present]) / (_HALF_LIFE * promote_after))
    before = shares[present]
    after = now + kept * (before - now)
    shares[present] = np.where((now == 0.0) & (after < _OVER), 0.0, after)
    unusual = faulty.copy()
    unusual[counted] &= (before <= _MOST)[group]
    beset[counted] = (before > _LATELY)[group]
    return Held(unusual, beset)
