"""How blocks are laid out for a call of the program."""

from __future__ import annotations

import numpy as np
import pytest

from detector.models.bank import Bank
from detector.models.blocks import Block, usable
from detector.models.learning import FREEZE, LEARN, QUARANTINE
from detector.models.shape import STACK, Shape
from detector.models.stacking import SeedCount, Turn, assemble, distinct
from detector.types import Float32

SHAPE = Shape(features=2, centroids=2, rows=16, keyed=True)


def turn(slots: list[int], *, complete: bool = True, rows: Float32 | None = None, time: float = 0.0) -> Turn:
    values = np.arange(2 * len(slots), dtype=np.float32).reshape(-1, 2) if rows is None else rows
    numbers = np.array(slots, np.int64)
    return Turn(Block(0, values, numbers, usable(values, numbers, values.shape[1]), time), 0, 0, complete)


def test_rows_can_be_used_that_have_a_slot_and_half_their_features() -> None:
    nan = np.nan
    rows = np.array([[1, nan, 1], [1, nan, nan], [1, 1, 1]], np.float32)
    assert usable(rows, np.array([0, 0, -1]), rows.shape[1]).tolist() == [True, False, False]
    half = np.array([[1, nan], [nan, nan]], np.float32)
    assert usable(half, np.array([0, 0]), half.shape[1]).tolist() == [True, False]


def test_every_row_finds_its_slot_and_every_slot_its_group() -> None:
    turns = [turn([30, 7, 30, -1], time=5.0), turn([], time=6.0), turn([2, 7], complete=False, time=7.0)]
    stack, called = assemble(turns, SHAPE, np.zeros(64, np.int8))
    nobody = SHAPE.call_slots
    assert sorted(called.tolist()) == [2, 7, 30]
    assert stack.blocks == 3
    assert stack.rows.shape == (STACK, 16, 2)
    assert stack.time[:3].tolist() == [5.0, 6.0, 7.0]
    for t, one in enumerate(turns):
        n = len(one.block)
        slots = [called[s] if s != nobody else -1 for s in stack.slot[t, :n]]
        assert slots == one.block.slots.tolist()
        assert (stack.present[t][stack.group[t, :n]] == stack.slot[t, :n]).all()
        present = stack.present[t][stack.present[t] != nobody].tolist()
        assert len(present) == len(set(present)), "a slot would be updated twice"
        assert np.isnan(stack.rows[t, n:]).all()
        assert (stack.slot[t, n:] == nobody).all()
    assert stack.learns[0].tolist() == [True, True, True] + [False] * 13
    assert not stack.learns[2].any(), "an open block is scored, not learned"


def test_rows_of_slots_that_are_frozen_are_scored_not_learned() -> None:
    modes = np.array([LEARN, FREEZE, QUARANTINE], np.int8)
    stack, _ = assemble([turn([0, 1, 2, -1])], SHAPE, modes)
    assert stack.learns[0, :4].tolist() == [True, False, True, False]


def test_a_single_block_takes_no_room_for_others_and_an_open_one_only_its_new_rows() -> None:
    whole = turn([30, 7, 30, 9])
    stack, called = assemble([whole], SHAPE, np.zeros(64, np.int8))
    assert stack.rows.shape == (1, 16, 2)
    assert sorted(called.tolist()) == [7, 9, 30]
    stack, called = assemble([Turn(whole.block, 3, 3, complete=False)], SHAPE, np.zeros(64, np.int8))
    assert called.tolist() == [9]
    assert stack.rows[0, 0].tolist() == whole.block.rows[3].tolist()
    assert np.isnan(stack.rows[0, 1:]).all()
    complete, _ = assemble([Turn(whole.block, 3, 3, complete=True)], SHAPE, np.zeros(64, np.int8))
    assert complete.learns[0].sum() == 4, "those scored before are learned with the rest"


def test_a_full_block_of_different_slots_and_none_has_room() -> None:
    stack, called = assemble([turn([*range(15), -1])], SHAPE, np.zeros(16, np.int8))
    assert len(called) == 15
    assert (stack.present[0][stack.group[0]] == stack.slot[0]).all()


@pytest.mark.parametrize("numbers", [[], [3], [5, 1, 5, 5, 0], list(range(9, -1, -1))])
def test_distinct_numbers_and_their_places(numbers: list[int]) -> None:
    found, place = distinct(np.array(numbers, np.int64), 10)
    assert sorted(found.tolist()) == sorted(set(numbers))
    assert found[place].tolist() == numbers


def test_a_stack_ends_at_the_block_in_which_a_slot_has_gathered_its_seeds() -> None:
    bank = Bank(SHAPE, seed_rows=6)
    bank.clear(np.arange(3))
    bank.release(np.array([2]))
    bank.pool.append(np.full(2, bank.seeds[0]), np.zeros((2, 2), np.float32))
    seeds = SeedCount(bank)
    assert not seeds.fills(turn([0, 1, 2, 2, 2, 2, 2, 2, 2]))
    assert not seeds.fills(turn([0, 1, 0, -1]))
    assert seeds.fills(turn([0]))


def test_where_nobody_gathers_seeds_no_stack_ends_for_them() -> None:
    bank = Bank(SHAPE, seed_rows=1)
    bank.clear(np.arange(1))
    bank.release(np.arange(1))
    assert not SeedCount(bank).fills(turn([0, 0]))
