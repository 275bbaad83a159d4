"""Runs of repeats are counted within a slot, and surprise by what its feature is used to."""

from __future__ import annotations

import numpy as np
import pytest

from detector.models.repeats import runs, surprise
from detector.types import Float64


def counted(rows: list[float], slots: list[int] | None = None, last: float = np.nan, run: float = 0.0) -> list[float]:
    values = np.array(rows, np.float32)[:, None]
    places = np.zeros(len(rows), np.int64) if slots is None else np.array(slots)
    shape = values.shape
    found: list[float] = runs(values, places, np.full(shape, last, np.float32), np.full(shape, run))[:, 0].tolist()
    return found


def test_a_run_counts_how_often_its_value_was_repeated() -> None:
    assert counted([1, 1, 1, 2, 2, 3, 3, 3, 3]) == [0, 1, 2, 0, 1, 0, 1, 2, 3]


def test_a_run_goes_on_from_what_the_slot_had_before() -> None:
    assert counted([5, 5, 6], last=5.0, run=7.0) == [8, 9, 0]
    assert counted([6, 6], last=5.0, run=7.0) == [0, 1]


def test_each_slot_has_runs_of_its_own() -> None:
    assert counted([1, 1, 1, 1], slots=[0, 0, 4, 4]) == [0, 1, 0, 1]
    assert counted([1, 1, 1], slots=[0, 1, 2], last=1.0, run=3.0) == [4, 4, 4]


def test_a_missing_value_ends_a_run_and_repeats_nothing() -> None:
    assert counted([1, 1, np.nan, np.nan, 1, 1]) == [0, 1, 0, 0, 0, 1]


def test_each_feature_has_runs_of_its_own() -> None:
    rows = np.array([[1, 2], [1, 3], [4, 3]], np.float32)
    nothing = np.full((3, 2), np.nan, np.float32)
    found = runs(rows, np.zeros(3, np.int64), nothing, np.zeros((3, 2)))
    assert found.tolist() == [[0, 0], [1, 0], [0, 1]]


def told(run: float, rows: float, repeats: float, begun: float) -> float:
    def one(value: float) -> Float64:
        return np.array([[value]])

    return float(surprise(one(run), one(rows), one(repeats), one(begun))[0, 0])


def test_a_repeat_of_what_never_repeats_is_as_rare_as_rows_are_many() -> None:
    assert told(1, 998, 0, 0) == pytest.approx(np.log(1000))
    assert told(3, 998, 0, 0) == pytest.approx(3 * np.log(1000))


def test_a_feature_that_stands_still_all_night_is_no_surprise_once_it_has() -> None:
    # Of 1,000 rows 480 were one run: it begins seldom, and goes on for long.
    assert told(100, 1000, 480, 1) < 1.5 * told(1, 1000, 480, 1)


def test_a_count_that_is_often_the_same_twice_surprises_as_a_coin_does() -> None:
    # Half of all rows repeat the one before, whatever that was.
    assert told(4, 10_000, 5000, 2500) == pytest.approx(4 * np.log(2), rel=0.01)


def test_a_constant_feature_surprises_nobody() -> None:
    assert told(1000, 1000, 999, 1) == pytest.approx(0.0, abs=1.0)


def test_what_does_not_repeat_is_no_surprise() -> None:
    assert told(0, 1000, 0, 0) == 0.0
    assert told(0, 0, 0, 0) == 0.0


def test_beyond_a_hundred_repeats_a_run_is_not_more_surprising() -> None:
    assert told(5000, 1000, 100, 1) == told(100, 1000, 100, 1)
