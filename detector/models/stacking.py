"""Stacks: how the rows of a batch are laid out for one call of the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.models.bank import Bank
from detector.models.blocks import Block
from detector.models.learning import FREEZE
from detector.models.lending import filled
from detector.models.program import Stack
from detector.models.shape import Shape
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
    def first(self) -> int:
        """Number of the block's first row that a call needs: an open block's are scored once, and wait for the rest."""
        return 0 if self.complete else self.scored

    @property
    def end(self) -> int:
        """Number of the row behind the last new one in the batch."""
        return self.start + len(self.block) - self.scored


def distinct(numbers: Int64, limit: int) -> tuple[Int64, Int64]:
    """Return the distinct ones among numbers [n] in [0, limit), and each number's place among them.

    In the order in which each occurs last, and without the sorting that makes numpy.unique slow.
    """
    place = np.empty(limit, np.int64)
    every = np.arange(len(numbers))
    place[numbers] = every
    found = numbers[place[numbers] == every]
    place[found] = np.arange(len(found))
    return found, place[numbers]


def assemble(turns: Sequence[Turn], shape: Shape, modes: Int8) -> tuple[Stack, Int64]:
    """Pad the turns to a frame of the program; returns the distinct slots too, by whose order they are numbered.

    `modes` [S] are the learning modes of the bank's slots.
    """
    counts = np.array([len(turn.block) - turn.first for turn in turns])
    grid = shape.frame(len(turns), int(counts.max()))
    nobody = shape.slots_of(grid)
    rows = filled((*grid, shape.features), np.float32, np.nan)
    slot, group = filled(grid, np.int32, nobody), filled(grid, np.int32, 0)
    present, learns, time = filled(grid, np.int32, nobody), filled(grid, np.bool_, 0), filled(grid[:1], np.float64, 0)
    slots = np.concatenate([turn.block.slots[turn.first :] for turn in turns])
    placed = slots >= 0
    called, numbers = distinct(slots[placed], len(modes))
    local = np.full(len(slots), nobody)
    local[placed] = numbers
    block_of = np.repeat(np.arange(len(turns)), counts)
    met, place = distinct(block_of * (nobody + 1) + local, len(turns) * (nobody + 1))
    block_met, slot_met = np.divmod(met, nobody + 1)  # in the order of their blocks, as `distinct` keeps runs together
    met_before = np.searchsorted(block_met, np.arange(len(turns)))
    present[block_met, np.arange(len(met)) - met_before[block_met]] = slot_met
    start = 0
    for t, (turn, n) in enumerate(zip(turns, counts.tolist(), strict=True)):
        end = start + n
        rows[t, :n], slot[t, :n] = turn.block.rows[turn.first :], local[start:end]
        group[t, :n] = place[start:end] - met_before[t]
        learns[t, :n] = (
            turn.block.usable[turn.first :] & turn.complete & (modes[turn.block.slots[turn.first :]] != FREEZE)
        )
        time[t] = turn.block.time
        start = end
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
