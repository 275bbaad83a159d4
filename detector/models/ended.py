"""What became of the rows of a block, once it is complete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from detector.models.kept import Fate
from detector.types import Bool, Int8, Int64


class Ended(NamedTuple):
    """The rows of a complete block [n].

    able    their slots may learn, and they are no known faults, which are `barred`
    gated   they lie beyond the learning gate, and went to quarantine
    usable  they have features enough to be scored
    faulty  they may not count as normal: their slot had an incident, or a stray that its smoothed scores remember, and
            that is no habit of it
    beset   their slot had a fault of late (see `habit`)
    lone    strays by themselves, without an incident of their slot, that the gate's reference holds as such
    over    an incident of their slot resolved with them
    """

    able: Bool
    gated: Bool
    barred: Bool
    usable: Bool
    faulty: Bool
    beset: Bool
    lone: Bool
    over: Bool

    @property
    def learned(self) -> Bool:
        """Which the model learned [n]."""
        return self.able & ~self.gated

    def fates(self, at: Int64) -> Int8:
        """Return the fates of some of the rows [m]."""
        fates = np.where(self.able[at], Fate.LEARNED, Fate.FROZEN).astype(np.int8)
        fates[self.gated[at]] = Fate.QUARANTINED
        fates[self.barred[at]] = Fate.BARRED
        fates[~self.usable[at]] = Fate.UNUSABLE
        return fates

    def of_new(self, scored: int) -> Ended:
        """Return what became of the rows behind the first so many."""
        return Ended._make(each[scored:] for each in self)

    @classmethod
    def joined(cls, blocks: Sequence[Ended]) -> Self:
        """Put the rows of blocks together."""
        return cls._make(map(np.concatenate, zip(*blocks, strict=True)))
