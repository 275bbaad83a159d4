"""Where the rows of an incident lie."""

from __future__ import annotations

import numpy as np
import pytest

from detector.models import region
from detector.models.region import Region
from detector.types import Float64


def lies(rows: Float64, distances: Float64, pieces: tuple[int, ...] = (1_000,)) -> Region:
    """Return the region of rows that were added in pieces, the first by itself."""
    sums = np.full((3, 4 * rows.shape[1]), 7.0)
    values, weights = rows.astype(np.float32), distances.astype(np.float32)
    region.begin(sums[1], values[0], float(weights[0]))
    at = 1
    while at < len(rows):
        size = pieces[at % len(pieces)]
        some = slice(at, at + size)
        region.extend(sums, np.full(len(values[some]), 1, np.int32), values[some], weights[some])
        at += size
    return Region.of(sums[1])


def test_it_is_the_mean_and_the_deviation_of_the_rows_each_by_the_fourth_power_of_its_distance() -> None:
    rng = np.random.default_rng(1)
    rows, distances = rng.normal([1e6, 5.0], [3.0, 0.5], (400, 2)), rng.uniform(1, 9, 400)
    found, weights = lies(rows, distances), distances**4
    wide = rows.astype(np.float32).astype(np.float64)
    centre = np.average(wide, axis=0, weights=weights)
    assert found.centre == pytest.approx(centre)
    assert found.spread == pytest.approx(np.sqrt(np.average((wide - centre) ** 2, axis=0, weights=weights)), rel=1e-4)


def test_pieces_change_no_bit() -> None:
    rng = np.random.default_rng(2)
    rows, distances = rng.normal(size=(200, 3)), rng.uniform(1, 9, 200)
    rows[rng.random((200, 3)) < 0.2] = np.nan
    for pieces in ((1,), (7, 30), (200,)):
        for one, other in zip(lies(rows, distances), lies(rows, distances, pieces), strict=True):
            assert one.tobytes() == other.tobytes()


def test_rows_that_are_normal_again_hardly_draw_it() -> None:
    rows, distances = np.repeat([[90.0], [50.0]], [10, 100], 0), np.repeat([20.0, 1.5], [10, 100])
    assert lies(rows, distances).centre[0] == pytest.approx(90.0, abs=0.1)


def test_a_feature_that_was_never_observed_lies_nowhere() -> None:
    found = lies(np.array([[1.0, np.nan]]), np.array([3.0]))
    assert found.centre.tolist()[0] == 1.0
    assert np.isnan(found.centre[1])
    assert np.isnan(found.spread[1])
