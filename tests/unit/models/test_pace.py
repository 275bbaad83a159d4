"""The usual interval of a slot's rows, from block to block."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from detector.models import pace
from detector.models.bank import Bank
from detector.models.shape import Rules, Shape
from detector.models.slots import Slots

SLOT = np.array([0])


def usual(*blocks: Iterable[tuple[float, int]]) -> float:
    """Return the interval behind blocks that end so many seconds after the last, with so many rows each."""
    bank = Bank(Shape(features=2, centroids=1, rows=16, keyed=True), seed_rows=8)
    Slots(bank, 1, lambda _: {}).find(["host"])
    time = 1e9
    for block in blocks:
        for passed, rows in block:
            time += passed
            bank.last_seen[SLOT] = time
            pace.follow(bank, SLOT, np.array([rows]))
    return float(bank.interval[0])


def test_it_is_unknown_until_the_second_block() -> None:
    assert np.isnan(usual([(0.0, 1)]))
    assert pace.longer(3600.0, np.array([np.nan, 60.0, 600.0])).tolist() == [3600.0, 3600.0, 12000.0]


@pytest.mark.parametrize(
    ("passed", "rows", "expected"), [(3600.0, 1, 3600.0), (10.0, 250, 0.04), (86400.0, 40, 2160.0)]
)
def test_it_is_the_mean_time_from_row_to_row(passed: float, rows: int, expected: float) -> None:
    assert usual([(passed, rows)] * 20) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("interval", "expected"), [(np.nan, 500), (10.0, 500), (300.0, 259.2), (3600.0, 21.6), (7e4, 10)]
)
def test_what_speaks_seldom_is_asked_for_no_more_rows_than_it_has(interval: float, expected: float) -> None:
    rules, given = Rules(paced=True), np.array([interval])
    assert pace.enough(rules, given).tolist() == pytest.approx([expected])
    assert pace.enough(replace(rules, paced=False, promote_count=400), given).tolist() == [400]


def test_an_outage_is_no_pause() -> None:
    assert usual([(300.0, 1)] * 200, [(5 * 86400.0, 1)]) < 1.25 * 300.0


def test_what_has_become_slower_or_faster_is_followed() -> None:
    assert usual([(1.0, 25)] * 500, [(3600.0, 1)] * 300) == pytest.approx(3600.0, rel=0.1)
    assert usual([(3600.0, 1)] * 500, [(1.0, 25)] * 60) == pytest.approx(0.04, rel=0.1)
    assert usual([(0.0, 25)] * 50, [(60.0, 1)] * 300) == pytest.approx(60.0, rel=0.1)
