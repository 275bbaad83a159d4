"""Bursts: what one event lifts is no fault, however often it comes."""

from __future__ import annotations

import numpy as np
import pytest

from detector.models import bursts
from detector.models.incident_state import state_of
from detector.types import Bool
from tests.unit.models.test_incidents import RULES, seen, started

LOUD, CALM = 1e-4, 1.0
THREE_EVENTS = [LOUD] * 5 + [CALM] + [LOUD] * 5 + [CALM] + [LOUD] * 5
ONE_FAULT = [LOUD] * 15


def faulty(rates: list[float], *, parted: bool) -> Bool:
    incidents = started(RULES._replace(fault_count=6.0, quiet_rows=10, quiet_time=1e9, parted=parted))
    return incidents.follow(seen([0] * len(rates), rates, list(map(float, range(len(rates))))))[1]


def test_several_events_in_a_row_are_no_fault_and_what_goes_on_is() -> None:
    assert not faulty(THREE_EVENTS, parted=True).any()
    assert np.flatnonzero(faulty(ONE_FAULT, parted=True)).tolist() == list(range(8, 15))


def test_a_fault_that_flickers_is_not_over() -> None:
    assert np.flatnonzero(faulty([*ONE_FAULT, *[CALM, LOUD] * 3], parted=True)).tolist() == list(range(8, 21))


def test_where_rows_speak_for_themselves_calm_ones_between_do_not_matter() -> None:
    assert np.flatnonzero(faulty(THREE_EVENTS, parted=False)).tolist() == list(range(9, 17))


@pytest.mark.parametrize("size", [1, 2, 5, 40])
def test_what_was_before_a_row_does_not_depend_on_how_rows_are_cut(size: int) -> None:
    rng = np.random.default_rng(size)
    slots, flagged = rng.integers(0, 3, 40), rng.random(40) < 0.6
    parting = ~flagged & (rng.random(40) < 0.5)
    state, held, fault = np.zeros(3, state_of(2)), [0, 0, 0], 5
    for start in range(0, 40, size):
        part = slice(start, start + size)
        rows = bursts.Rows(flagged[part], parting[part], fault)
        was = bursts.follow(state, slots[part], rows)
        for i, slot in enumerate(slots[part].tolist(), start):
            assert was.burst[i - start] == held[slot]
            if held[slot] < fault:
                held[slot] = 0 if parting[i] else held[slot] + int(flagged[i])
    assert state["burst"].tolist() == held
    assert max(held) == fault
