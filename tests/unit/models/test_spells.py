"""Rows far out wait until their spell is over: a short one is chance and counted, a long one is a fault and is not."""

from __future__ import annotations

import numpy as np

from detector.models.spells import MOST, hold, state_of


class Spells:
    """Two slots; a spell of more than three rows is no chance."""

    def __init__(self) -> None:
        self.states = np.zeros(2, state_of())

    def block(self, far: str, slots: list[int] | None = None, *, counted: bool = True) -> tuple[list[int], list[int]]:
        """Give a block of rows, `x` being far out; returns the rows counted at once, and the bins that ended."""
        n = len(far)
        places = np.zeros(n, np.int64) if slots is None else np.array(slots)
        at_once, ended = hold(
            self.states,
            places,
            100 + np.arange(n),
            far=np.array([each == "x" for each in far]),
            counted=np.full(n, counted),
            judged=np.ones(n, np.bool_),
            longest=3,
        )
        return np.flatnonzero(at_once).tolist(), ended


def test_what_is_not_far_out_is_counted_at_once() -> None:
    assert Spells().block("...") == ([0, 1, 2], [])


def test_a_short_spell_is_counted_when_it_is_over() -> None:
    spells = Spells()
    assert spells.block(".xx") == ([0], [])
    assert spells.block("x..") == ([1, 2], [101, 102, 100])
    assert spells.states[0] == np.zeros((), state_of())


def test_a_long_spell_is_never_counted() -> None:
    spells = Spells()
    assert spells.block("xxxx.") == ([4], [])
    assert spells.block(50 * "x") == ([], [])
    assert spells.block("..") == ([0, 1], [])


def test_each_slot_has_its_own_spells() -> None:
    spells = Spells()
    assert spells.block("x.x.x.x.x.", slots=[0, 1] * 5) == ([1, 3, 5, 7, 9], [])
    assert spells.block("..", slots=[1, 0]) == ([0, 1], [])
    assert spells.block("x.", slots=[1, 1]) == ([1], [100])


def test_rows_that_would_not_be_counted_lengthen_a_spell_all_the_same() -> None:
    spells = Spells()
    assert spells.block("xx", counted=False) == ([], [])
    assert spells.block("xx.") == ([2], [])
    assert spells.states["waiting"].tolist() == [0, 0]


def test_no_more_rows_wait_than_there_is_room_for() -> None:
    spells = Spells()
    spells.block((MOST + 9) * "x")
    assert spells.states["waiting"][0] == MOST
