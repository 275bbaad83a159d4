"""Stacks: how the rows of a batch are laid out for one call of the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.models.bank import Bank
from detector.models.blocks import Block
from detector.models.learning import FREEZE
from detector.models.program import Stack
from detector.models.shape import STACK, Shape
from detector.types import Int8, Int64


@dataclass(frozen=True, slots=True)
class Turn:
    """One block of a stack.

    block      with its new rows
    scored     rows of the block that were scored in an earlier call
    start      number of the first new row in the batch
    complete   whether the block ends with these rows
    """

    block: Block
    scored: int
    start: int
    complete: bool

    @property
    def end(self) -> int:
        """Number of the row behind the last new one in the batch."""
        return self.start + len(self.block) - self.scored


def distinct(numbers: Int64, limit: int) -> tuple[Int64, Int64]:
    """Return the distinct ones among numbers [n] in [0, limit), and each number's place among them.

    In no particular order, but without the sorting that makes numpy.unique slow.
    """
    place = np.empty(limit, np.int64)
    every = np.arange(len(numbers))
    place[numbers] = every
    found = numbers[place[numbers] == every]
    place[found] = np.arange(len(found))
    return found, place[numbers]


def assemble(turns: Sequence[Turn], shape: Shape, modes: Int8) -> tuple[Stack, Int64]:
    """Pad the turns to the program's shape; returns the distinct slots too, by whose order they are numbered.

    `modes` [S] are the learning modes of the bank's slots.
    """
    nobody = shape.call_slots
    grid = (STACK, shape.rows)
    rows = np.full((*grid, shape.features), np.nan, np.float32)
    slot = np.full(grid, nobody, np.int32)
    group = np.zeros(grid, np.int32)
    present = np.full(grid, nobody, np.int32)
    learns = np.zeros(grid, np.bool_)
    time = np.zeros(STACK)
    slots = np.concatenate([turn.block.slots for turn in turns])
    placed = slots >= 0
    called, numbers = distinct(slots[placed], len(modes))
    local = np.full(len(slots), nobody)
    local[placed] = numbers
    start = 0
    for t, turn in enumerate(turns):
        n = len(turn.block)
        rows[t, :n], slot[t, :n] = turn.block.rows, local[start : start + n]
        met, inverse = distinct(local[start : start + n], nobody + 1)
        present[t, : len(met)], group[t, :n] = met, inverse
        learns[t, :n] = turn.block.usable & turn.complete & (modes[turn.block.slots] != FREEZE)
        time[t] = turn.block.time
        start += n
    return Stack(rows, slot, group, present, learns, time, len(turns)), called


class SeedCount:
    """Foresees at which block of a stack a slot has gathered its seed rows: its stack ends there."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._met: Int64 = np.zeros(0, np.int64)

    def fills(self, turn: Turn) -> bool:
        """Count the rows of one more complete block; True when some slot has all its seed rows with them."""
        if not self._bank.pool.used:
            return False
        slots = turn.block.slots[turn.block.usable]
        slots = slots[self._bank.unseeded(slots) & (self._bank.modes[slots] != FREEZE)]
        if not len(slots):
            return False
        self._met = np.concatenate([self._met, slots])
        distinct, counts = np.unique(self._met, return_counts=True)
        held = self._bank.pool.counts[self._bank.seeds[distinct]]
        return bool((held + counts >= self._bank.seed_rows).any())
