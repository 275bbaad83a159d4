"""Upkeep: what slots need now and then, as of a block boundary that the log decides on.

It reaches a slot before the first of its rows behind that boundary. Until then only its own rows could have changed it,
so it is as it was at the boundary: upkeep costs what is alive alone, and reaches each slot, whatever the rhythm that
its rows come in. (Of the slots in the last block before a boundary the same ones would be met each time, where a
fleet reports in turn.)
"""

from __future__ import annotations

import math
from collections import Counter

from detector.models.bank import Bank
from detector.models.judging import Judging
from detector.models.learning import FREEZE
from detector.models.planting import Planting
from detector.models.quarantine import Quarantine
from detector.types import Int64

_EVERY = 64
"""Upkeep of slots is due, and entities are forgotten, at every such multiple of blocks; no stack crosses one."""
_SHARE = 1.0 / 12.0
"""Share of `promote_after` after which it is due in any case, so that what lasts a tenth longer has been accepted."""


class Upkeep:
    """Splits dead centroids, promotes what has become normal, and sets the learning gates.

    `changes` counts what was done: `reseeds`, dead centroids split, and `promotions`, quarantines that became normal.

    since  number of the block at whose start upkeep was due last, and `at`, the partition's event time there; -inf = it
           was not yet
    """

    def __init__(
        self, bank: Bank, planting: Planting, quarantine: Quarantine, judging: Judging, changes: Counter[str]
    ) -> None:
        self._bank = bank
        self._planting = planting
        self._quarantine = quarantine
        self._judging = judging
        self._changes = changes
        self.since, self.at = 0, -math.inf

    def until_due(self, number: int) -> int:
        """Return how many blocks from `number` on there are before upkeep is due next, unless time makes it so."""
        return _EVERY - number % _EVERY

    def is_due(self, number: int, time: float) -> bool:
        """Return whether upkeep is due at the start of block `number`, the partition's event time being `time`.

        By time, too: of a stream that speaks every hour so many blocks take longer than what is to be promoted lasts.
        Until the first boundary at all no time is known to count from: no stack crosses that one either.
        """
        return number % _EVERY == 0 or time - self.at >= _SHARE * self._planting.rules.promote_after

    def fall_due(self, number: int, time: float) -> None:
        """Let upkeep be due for every slot, as of the start of block `number`, at event time `time`."""
        self.since, self.at = number, time
        self._judging.mark()

    def reach(self, slots: Int64) -> None:
        """Keep up those of some slots [n], whose rows come next, that have not been since it was due."""
        bank = self._bank
        due = slots[bank.kept_up[slots] < self.since]
        if not len(due):
            return
        bank.kept_up[due] = self.since
        due = due[bank.modes[due] != FREEZE]
        if len(due):
            self._changes["reseeds"] += self._planting.split_dead(due, self.since)
            self._changes["promotions"] += self._quarantine.promote(due)
            self._judging.set_gates(due)
