"""Stacks: how the rows of a batch are laid out for one call of the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.models.bank import Bank
from detector.models.blocks import Block
from detector.models.learning import FREEZE
from detector.models.lending import blank
from detector.models.program import Stack
from detector.models.shape import Frame, Shape
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


def joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Put arrays behind one another; most calls have one, which is returned as it is."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


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
    counts = [len(turn.block) - turn.first for turn in turns]
    frame = shape.frame(len(turns), max(counts))
    nobody = shape.slots_of(frame)
    stack = _empty(frame, shape.features, nobody, len(turns))
    slots = joined([turn.block.slots[turn.first :] for turn in turns])
    placed = slots >= 0
    everybody = bool(placed.all())
    if everybody:
        called, local = distinct(slots, len(modes))
    else:
        local = np.full(len(slots), nobody)
        called, local[placed] = distinct(slots[placed], len(modes))
    if len(turns) == 1 and everybody:  # then each slot is a group, and its number that of the group
        stack.group[0, : len(slots)], stack.present[0, : len(called)] = local, np.arange(len(called))
    else:
        _group(stack, local, counts, nobody)
    start = 0
    for t, (turn, n) in enumerate(zip(turns, counts, strict=True)):
        stack.rows[t, :n], stack.slot[t, :n] = turn.block.rows[turn.first :], local[start : start + n]
        stack.time[t] = turn.block.time
        if turn.complete:
            stack.learns[t, :n] = turn.block.usable & (modes[turn.block.slots] != FREEZE)
        start += n
    return stack, called


def _empty(frame: Frame, features: int, nobody: int, blocks: int) -> Stack:
    """Return a stack without rows."""
    rows, slot, group, present, learns, time = blank(
        ((*frame, features), np.float32),
        (frame, np.int32),
        (frame, np.int32),
        (frame, np.int32),
        (frame, np.bool_),
        (frame[:1], np.float64),
    )
    rows.fill(np.nan)
    slot.fill(nobody)
    group.fill(0)
    present.fill(nobody)
    learns.fill(0)
    time.fill(0.0)
    return Stack(rows, slot, group, present, learns, time, blocks)


def _group(stack: Stack, local: Int64, counts: Sequence[int], nobody: int) -> None:
    """Give each slot of a block, `local` [n] in the call, a number there; rows without a slot are a group, too."""
    blocks = len(counts)
    block_of = np.repeat(np.arange(blocks), counts)
    met, place = distinct(block_of * (nobody + 1) + local, blocks * (nobody + 1))
    block_met, slot_met = np.divmod(met, nobody + 1)  # in the order of their blocks, as `distinct` keeps runs together
    met_before = np.searchsorted(block_met, np.arange(blocks))
    stack.present[block_met, np.arange(len(met)) - met_before[block_met]] = slot_met
    within = np.arange(len(local)) - np.repeat(np.cumsum([0, *counts[:-1]]), counts)
    stack.group[block_of, within] = place - met_before[block_of]


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
