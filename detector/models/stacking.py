"""Stacks: how the rows of a batch are laid out for one call of the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detector.models.bank import Bank
from detector.models.blocks import Block
from detector.models.program import Stack
from detector.models.shape import STACK, Shape
from detector.types import Bool, Float32, Int64


@dataclass(frozen=True, slots=True)
class Turn:
    """One block of a stack.

    block      with its new rows
    usable     bool [n]  the row has a slot and at least half its features: it is scored, and may be learned
    scored     rows of the block that were scored in an earlier call
    start      number of the first new row in the batch
    complete   whether the block ends with these rows
    """

    block: Block
    usable: Bool
    scored: int
    start: int
    complete: bool


def usable(block: Block) -> Bool:
    """Tell which rows of a block can be scored: those with a slot and at least half their features."""
    observed = np.isfinite(block.rows).sum(1)
    enough: Bool = (2 * observed >= block.rows.shape[1]) & (block.slots >= 0)
    return enough


def called_slots(turns: Sequence[Turn]) -> Int64:
    """Return the distinct slots of a stack, sorted."""
    slots = np.unique(np.concatenate([turn.block.slots for turn in turns]))
    return slots[slots >= 0]


def new_rows(turns: Sequence[Turn]) -> tuple[Int64, Float32]:
    """Return (slots [n], rows [n, D]) of the rows that are scored for the first time and have a slot."""
    slots = np.concatenate([turn.block.slots[turn.scored :] for turn in turns])
    rows = np.concatenate([turn.block.rows[turn.scored :] for turn in turns])
    return slots[slots >= 0], rows[slots >= 0]


def assemble(turns: Sequence[Turn], called: Int64, shape: Shape) -> Stack:
    """Pad the turns to the program's shape; slots are numbered by their place in `called`."""
    nobody = shape.call_slots
    grid = (STACK, shape.rows)
    rows = np.full((*grid, shape.features), np.nan, np.float32)
    slot = np.full(grid, nobody, np.int32)
    group = np.zeros(grid, np.int32)
    members = np.full(grid, nobody, np.int32)
    learns = np.zeros(grid, np.bool_)
    time = np.zeros(STACK)
    for t, turn in enumerate(turns):
        n = len(turn.block)
        rows[t, :n] = turn.block.rows
        slot[t, :n] = np.where(turn.block.slots >= 0, np.searchsorted(called, turn.block.slots), nobody)
        distinct, inverse = np.unique(slot[t, :n], return_inverse=True)
        members[t, : len(distinct)], group[t, :n] = distinct, inverse
        learns[t, :n] = turn.usable & turn.complete
        time[t] = turn.block.time
    return Stack(rows, slot, group, members, learns, time, len(turns))


class SeedCount:
    """Foresees at which block of a stack a slot has gathered its seed rows: its stack ends there."""

    def __init__(self, bank: Bank) -> None:
        self._bank = bank
        self._met: Int64 = np.zeros(0, np.int64)

    def fills(self, turn: Turn) -> bool:
        """Count the rows of one more complete block; True when some slot has all its seed rows with them."""
        slots = turn.block.slots[turn.usable]
        slots = slots[self._bank.unseeded(slots)]
        if not len(slots):
            return False
        self._met = np.concatenate([self._met, slots])
        distinct, counts = np.unique(self._met, return_counts=True)
        held = self._bank.pool.counts[self._bank.seeds[distinct]]
        return bool((held + counts >= self._bank.seed_rows).any())
