"""Regions that operators spoke of: how far rows are from them, whom they concern, and until when."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from detector.models.bank import Bank
from detector.models.known import Known, scale_of
from detector.models.region import Region
from detector.models.shape import Shape
from detector.models.slots import Slots

NAMES = ["x", "y"]
NAN = math.nan


def known(*said: dict[str, Any]) -> Known:
    """Return what was said in a partition whose entities a and b have the slots 0 and 1."""
    bank = Bank(Shape(features=2, centroids=1, rows=16, keyed=True), seed_rows=8)
    slots = Slots(bank, 10, lambda _: {})
    slots.find(["a", "b"])
    made = Known(slots, NAMES)
    for each in said:
        made.say(each)
    return made


def said(identity: str = "1", **changes: Any) -> dict[str, Any]:
    told = {"id": identity, "verdict": "normal", "entity": "a", "until": None, "features": NAMES}
    return told | {"centre": [10.0, 20.0], "scale": [1.0, 2.0], "by": "ada"} | changes


def near(which: Known, rows: list[list[float]], distances: list[float], slots: tuple[int, ...] = (0,)) -> list[float]:
    n = len(rows)
    nearer = which.approve(
        np.resize(np.array(slots), n),
        np.array(rows, np.float32),
        np.array(distances, np.float32),
        np.ones((n, 2), np.float32),
        np.zeros((n, 2), np.float32),
    )
    return distances if nearer is None else nearer.distance.tolist()


def test_a_row_is_as_far_out_as_from_the_nearest_of_centroids_and_regions() -> None:
    found = near(known(said()), [[10.0, 20.0], [13.0, 28.0], [40.0, 20.0], [10.0, 20.0]], [9.0, 9.0, 9.0, NAN])
    beyond = math.sqrt(100 + math.log(3) ** 2)
    assert found[:3] == pytest.approx([0.0, 5.0, min(9.0, beyond)])
    assert math.isnan(found[3]), "a row that is not scored stays so"


def test_what_is_missing_counts_as_in_the_model_and_without_half_of_the_features_nothing_is_near() -> None:
    wide = said(centre=[10.0, 20.0], scale=[1.0, 2.0])
    assert near(known(wide), [[13.0, NAN]], [9.0]) == pytest.approx([math.sqrt(2) * 3.0])
    assert near(known(said(centre=[10.0, None])), [[NAN, 20.0]], [9.0]) == [9.0]


def test_a_region_concerns_its_entity_or_everybody() -> None:
    assert near(known(said()), [[10.0, 20.0]], [9.0], (1,)) == [9.0]
    assert near(known(said(entity=None)), [[10.0, 20.0]], [9.0], (1,)) == [0.0]
    assert near(known(said(entity="nobody")), [[10.0, 20.0]], [9.0]) == [9.0]


def test_the_nearest_region_is_named_and_is_what_was_expected() -> None:
    both = known(said("far", centre=[12.0, 20.0]), said("near"))
    nearer = both.approve(
        np.array([0, 0]),
        np.array([[10.5, 20.0], [500.0, 500.0]], np.float32),
        np.array([9.0, 9.0], np.float32),
        np.ones((2, 2), np.float32),
        np.zeros((2, 2), np.float32),
    )
    assert nearer is not None
    assert [both.ids[place] if place >= 0 else None for place in nearer.by.tolist()] == ["near", None]
    assert nearer.expected.tolist() == [[10.0, 20.0], [0.0, 0.0]]


def test_a_fault_bars_rows_within_three_scales_and_says_nothing_of_distances() -> None:
    fault = known(said(verdict="fault"))
    slots, rows = np.array([0, 0, 1]), np.array([[13.0, 26.0], [13.1, 26.2], [10.0, 20.0]], np.float32)
    assert fault.any_fault
    assert fault.barred(slots, rows).tolist() == [True, False, False]
    assert near(fault, [[10.0, 20.0]], [9.0]) == [9.0]


def test_it_ends_when_it_expires_is_undone_or_the_features_are_others() -> None:
    three = known(said("1", until=50.0), said("2", until=70.0), said("3"), said("4", features=["x", "z"]))
    assert (three.ids, three.ends) == (["1", "2", "3"], 50.0)
    three.expire(50.0)
    assert (three.ids, three.ends) == (["2", "3"], 70.0)
    three.say({"undo": "2", "by": "bob"})
    three.say({"undo": "unknown", "by": "bob"})
    assert (three.ids, three.ends) == (["3"], math.inf)


def test_the_scale_is_the_greatest_of_the_slots_the_patterns_and_a_tenth_of_the_way() -> None:
    region = Region(np.array([100.0, 100.0, 100.0, NAN]), np.array([0.0, 30.0, 0.0, NAN]))
    scale = scale_of(region, np.array([20.0, 5.0, 5.0, 3.0]), np.array([90.0, 90.0, -400.0, 1.0]))
    assert scale[:3].tolist() == pytest.approx([20.0, 31.0, 50.0])
    unknown = np.full(4, NAN)
    assert scale_of(region, unknown, unknown)[0] == pytest.approx(1.0)
