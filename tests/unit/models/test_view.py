"""Of two views of a row the one that is the more surprised counts."""

from __future__ import annotations

import numpy as np
import pytest

from detector.models.view import View, either
from detector.types import Float64


def view(distance: list[float], part: float) -> View:
    n = len(distance)
    return View(np.array(distance), np.full((n, 2), part, np.float32), np.full((n, 2), 10 * part, np.float32))


YES = np.ones(2, np.bool_)


def sketches(n: int, quantile: float, excess: float) -> Float64:
    return np.tile([quantile, excess, 1000.0], (n, 1))


def test_the_more_surprised_view_counts_in_the_units_of_the_first() -> None:
    one, other = view([5.0, 5.0], 1.0), view([2.5, 4.0], 2.0)
    seen = either(one, other, sketches(2, 4.0, 1.0), sketches(2, 2.0, 0.5), YES)
    assert seen.distance.tolist() == pytest.approx([5.0, 8.0])  # both one mean excess beyond their quantiles, then four
    assert seen.parts[:, 0].tolist() == [1.0, 2.0]
    assert seen.expected[:, 0].tolist() == [10.0, 20.0]


def test_the_other_view_is_asked_only_of_what_is_far_out_for_it() -> None:
    one, other = view([1.0, 1.0], 1.0), view([3.4, 3.6], 2.0)
    seen = either(one, other, sketches(2, 4.0, 1.0), sketches(2, 2.0, 0.5), YES)
    assert seen.distance.tolist() == pytest.approx([1.0, 7.2])


def test_a_view_that_knows_nothing_yet_does_not_count() -> None:
    one, other = view([5.0, 5.0], 1.0), view([np.nan, 400.0], 2.0)
    seen = either(one, other, sketches(2, 4.0, 1.0), sketches(2, 2.0, 0.5), np.array([True, False]))
    assert seen.distance.tolist() == [5.0, 5.0]


def test_what_is_not_scored_stays_so() -> None:
    seen = either(view([np.nan], 1.0), view([np.nan], 2.0), sketches(1, 4.0, 1.0), sketches(1, 2.0, 0.5), YES[:1])
    assert np.isnan(seen.distance[0])


def test_a_feature_is_smoothed_by_its_part_of_the_square() -> None:
    seen = View(np.array([3.0, 2.0]), np.array([[1, 3], [0, 0]], np.float32), np.zeros((2, 2), np.float32))
    assert seen.to_smooth(np.array([0])).tolist() == [[3.0, 9.0 * 0.25, 9.0 * 0.75]]
    assert seen.to_smooth(np.array([1])).tolist() == [[2.0, 0.0, 0.0]]


def test_smoothed_distances_follow_those_of_rows_scored_before() -> None:
    seen = view([1.0, 2.0, np.nan, 3.0], 1.0)
    smoothed = seen.smoothed(np.array([0.5]), np.array([1, 3]), np.array([[1.5, 4.0, 5.0], [2.5, 6.0, 7.0]]))
    assert smoothed.distance.tolist() == pytest.approx([0.5, 1.5, np.nan, 2.5], nan_ok=True)
    assert smoothed.parts[[1, 3]].tolist() == [[4.0, 5.0], [6.0, 7.0]]
