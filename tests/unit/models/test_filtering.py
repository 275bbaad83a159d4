from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detector.config.events import Events
from detector.models.filtering import Filters, filtered

NAN = float("nan")


def counts(value: float, expected: float, **filter_: Any) -> bool:
    """Tell whether a feature counts; a second one without a filter always does."""
    filters = Filters.of(Events.model_validate({"features": [{"name": "a", "filter": filter_}, "b"]}))
    assert filters is not None
    rows = np.array([[value, 1.0]], np.float32)
    found = filters.counting(rows, np.array([[expected, 0.0]], np.float32))
    assert found[0, 1]
    return bool(found[0, 0])


def test_without_any_filter_there_is_nothing_to_do() -> None:
    features = ["a", {"name": "b", "filter": {"direction": "both"}}]
    assert Filters.of(Events.model_validate({"features": features})) is None


@pytest.mark.parametrize(("direction", "above", "below"), [("rise", True, False), ("drop", False, True)])
def test_one_direction_counts_alone(direction: str, above: bool, below: bool) -> None:  # noqa: FBT001 - a table
    assert counts(2.0, 1.0, direction=direction) is above
    assert counts(0.0, 1.0, direction=direction) is below


def test_a_deviation_counts_from_the_least_one_on_either_side() -> None:
    assert all(counts(value, 10.0, min_deviation=2.0) for value in (7.5, 8.0, 12.0))
    assert not any(counts(value, 10.0, min_deviation=2.0) for value in (8.5, 10.0, 11.5))


def test_a_relative_deviation_is_a_share_of_what_is_expected_whatever_its_sign() -> None:
    assert [counts(value, -10.0, min_relative_deviation=0.25) for value in (-13.0, -12.0, -7.0)] == [True, False, True]
    assert counts(0.1, 0.0, min_relative_deviation=5.0)


def test_all_that_is_asked_for_must_hold() -> None:
    both = {"min_deviation": 2.0, "min_relative_deviation": 0.5, "direction": "rise"}
    assert [counts(value, 10.0, **both) for value in (13.0, 15.0, 5.0)] == [False, True, False]
    assert [counts(value, 1.0, **both) for value in (2.0, 3.0)] == [False, True]


@pytest.mark.parametrize(
    ("allowed", "inside", "outside"),
    [((0.0, 80.0), [0.0, 80.0], [-0.5, 80.5]), ((None, 80.0), [-1e9, 80.0], [80.5]), ((0.0, None), [1e9], [-0.5])],
)
def test_a_value_inside_the_allowed_range_never_counts(
    allowed: tuple[float | None, float | None], inside: list[float], outside: list[float]
) -> None:
    assert not any(counts(value, 40.0, allowed=allowed) for value in inside)
    assert all(counts(value, 40.0, allowed=allowed) for value in outside)


def test_a_missing_value_counts_for_nothing() -> None:
    assert not counts(NAN, 1.0, direction="rise")
    assert not counts(NAN, 1.0, allowed=(0.0, 1.0))


def test_a_distance_shrinks_to_what_is_left_of_its_parts() -> None:
    parts = np.array([[9.0, 16.0], [9.0, 16.0], [0.0, 0.0]], np.float32)
    distance, left = filtered(np.array([5.0, NAN, 0.0]), parts, np.array([[True, False], [True, True], [False, True]]))
    assert distance.tolist() == pytest.approx([3.0, NAN, 0.0], nan_ok=True)
    assert left.tolist() == [[9.0, 0.0], [9.0, 16.0], [0.0, 0.0]]


def test_a_range_upside_down_is_refused() -> None:
    with pytest.raises(ValueError, match="the least value allowed, 5, is above the greatest, 1"):
        Events.model_validate({"features": [{"name": "a", "filter": {"allowed": [5, 1]}}]})


def test_the_lags_of_a_feature_have_its_filter_and_cycles_of_the_time_have_none() -> None:
    features = ["a", {"name": "b", "transforms": [{"lags": 2}], "filter": {"direction": "rise"}}]
    filters = Filters.of(Events.model_validate({"features": features, "cycles": ["hour_of_day"]}))
    assert filters is not None
    assert filters.rise.all()
    assert filters.drop.tolist() == [True, False, False, False, True, True], "a, b, its two lags, sine and cosine"
