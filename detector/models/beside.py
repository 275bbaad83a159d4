"""What runs beside the model and never changes it: the window that a refit takes rows from, and the shadow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.models.bank import Bank
from detector.models.blocks import Block
from detector.models.ended import Ended
from detector.models.judging import Judging
from detector.models.program import Program, Stack
from detector.models.scored import Scored
from detector.models.shadow import Shadow
from detector.models.slots import Slots
from detector.models.stacking import Turn
from detector.models.versions import Version
from detector.models.window import Window, WindowLimits
from detector.types import Int64, Partition


class Beside:
    """The window and the shadow of one model: no window where no refit is wanted, no shadow without a candidate.

    `target` is the rate from which on rows are flagged.
    """

    def __init__(
        self, partition: Partition, bank: Bank, slots: Slots, judging: Judging, limits: WindowLimits | None
    ) -> None:
        self._bank = bank
        self._slots = slots
        self._judging = judging
        self.window = None if limits is None else Window(partition, bank, slots, limits)
        self.shadow: Shadow | None = None
        self._ended: list[Ended] = []

    def begin_shadow(self, candidate: Version, target: float, blocks: int) -> Shadow:
        """Let a candidate score the next blocks beside the model."""
        self.shadow = Shadow(
            candidate, bank=self._bank, slots=self._slots, judging=self._judging, target=target, blocks=blocks
        )
        return self.shadow

    def ran(
        self, program: Program, stack: Stack, called: Int64, turns: Sequence[Turn], scored: Sequence[Scored]
    ) -> None:
        """Take note of a stack that the model has scored and learned, whose complete blocks have `ended`."""
        ended, self._ended = self._ended, []
        if self.shadow is not None and not self.shadow.complete:
            self.shadow.score(program, stack, called, turns, scored, ended)

    def ended(self, block: Block, scored: Scored, ended: Ended, target: float) -> None:
        """Offer the rows of a complete block to the window.

        Rows that are anomalous, gated or of an incident are not offered; those that stand out by themselves are kept
        apart.
        """
        self._ended.append(ended)
        if self.window is None:
            return
        learned = ended.learned & ~ended.faulty
        flagged = scored.rates <= target
        suspicious = scored.warm & (flagged | ~learned)
        apart = suspicious
        if suspicious.any():
            alone = self._judging.alone(scored.distance, self._bank.sketches[block.slots])
            apart = suspicious & (alone <= target)
        self.window.offer(block, scored.warm & learned & ~flagged, np.asarray(apart))
