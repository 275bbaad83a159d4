from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.features.grouping import Grouped
from detector.models.drift import follow
from detector.types import Float64

HIGH, LOW = True, False


def one(state: Float64, *highs: bool, start: float = 100.0) -> list[float]:
    times = start + np.arange(float(len(highs)))
    return [
        float(each)
        for each in follow(state, Grouped.of(np.zeros(len(highs), np.int64), times), np.array(highs, np.bool_))
    ]


def test_a_slot_drifts_from_the_first_of_an_unbroken_run_of_high_scores() -> None:
    state = np.full(1, np.nan)
    assert one(state, LOW, HIGH, HIGH, HIGH) == pytest.approx([np.nan, 101, 101, 101], nan_ok=True)
    assert state.tolist() == [101]


def test_a_low_score_ends_it_and_the_next_high_one_begins_anew() -> None:
    state = np.full(1, 7.0)
    assert one(state, HIGH, LOW, HIGH) == pytest.approx([7, np.nan, 102], nan_ok=True)
    assert state.tolist() == [102]


def test_slots_drift_apart_from_each_other() -> None:
    state = np.array([np.nan, 5.0, 6.0])
    slots, high = np.array([0, 1, 0, 2, 1]), np.array([HIGH, HIGH, HIGH, LOW, LOW])
    since = follow(state, Grouped.of(slots, np.arange(10.0, 15.0)), high)
    assert since.tolist() == pytest.approx([10, 5, 10, np.nan, np.nan], nan_ok=True)
    assert state.tolist() == pytest.approx([10, np.nan, np.nan], nan_ok=True)


def test_no_rows_change_nothing() -> None:
    state = np.array([3.0])
    assert not len(follow(state, Grouped.of(np.zeros(0, np.int64), np.zeros(0)), np.zeros(0, np.bool_)))
    assert state.tolist() == [3]


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=5),
)
def test_it_is_the_same_however_the_rows_are_cut(rows: list[tuple[int, bool]], cuts: list[int]) -> None:
    slots = np.array([slot for slot, _ in rows], np.int64)
    high = np.array([each for _, each in rows], np.bool_)
    times = np.arange(float(len(rows)))
    whole, pieces, plain = (np.full(4, np.nan) for _ in range(3))
    expected = []
    for slot, rises, time in zip(slots.tolist(), high.tolist(), times.tolist(), strict=True):
        plain[slot] = (time if np.isnan(plain[slot]) else plain[slot]) if rises else np.nan
        expected.append(plain[slot])
    found = follow(whole, Grouped.of(slots, times), high)
    parts = [
        follow(pieces, Grouped.of(slots[a:b], times[a:b]), high[a:b])
        for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(rows)], strict=True)
    ]
    np.testing.assert_array_equal(found, np.array(expected))
    np.testing.assert_array_equal(np.concatenate(parts), found)
    np.testing.assert_array_equal(whole, plain)
    np.testing.assert_array_equal(pieces, plain)
