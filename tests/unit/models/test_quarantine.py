"""A quarantine as it is judged: dense, at rest, and persistent, feature by feature."""

from __future__ import annotations

import numpy as np
import pytest

from detector.models.bank import Bank
from detector.models.planting import Planting
from detector.models.quarantine import Quarantine
from detector.models.shape import Rules, Shape
from detector.models.slots import Slots
from detector.types import Float64, Partition

SHAPE = Shape(features=16, centroids=3, rows=16, keyed=True)
DAY = 86400.0
SLOT = np.array([0])
ROWS = 2000


def known() -> tuple[Quarantine, Bank]:
    """Return a slot that knows a spread of 2 in all, of 1 within its clusters, about 50."""
    bank = Bank(SHAPE, seed_rows=8)
    slots = Slots(bank, 10, lambda _: {})
    slots.find(["host"])
    bank.release(SLOT)
    bank.means[0], bank.variances[0], bank.within[0], bank.weights[0] = 5.0, 4.0, 1.0, 10_000.0
    bank.masses[0], bank.spreads[0], bank.centroids[0] = [6000.0, 3000.0, 1000.0], 4.0, 5.0
    return Quarantine(bank, Planting(Partition("topic", 0), bank, slots, Rules(), np.zeros(0))), bank


def readings() -> tuple[Float64, Float64]:
    """Return the times of a day's rows and a few, and plain rows far out."""
    times = np.linspace(0.0, 1.02 * DAY, ROWS)
    return times, np.random.default_rng(1).normal(25.0, 1.0, (ROWS, SHAPE.features))


def promoted(times: Float64, values: Float64) -> tuple[int, Bank]:
    """Take in rows, a block each, and judge them."""
    quarantine, bank = known()
    for time, row in zip(times.tolist(), values.astype(np.float32), strict=True):
        quarantine.add(SLOT, row[None], time)
    return quarantine.promote(SLOT), bank


def test_what_is_dense_at_rest_and_persistent_becomes_a_centroid_that_counts_at_once() -> None:
    times, values = readings()
    done, bank = promoted(times, values)
    assert done == 1
    assert bank.centroids[0, 2] == pytest.approx(values.mean(0), rel=1e-5)
    assert (bank.masses[0, 2], bank.wins[0, 2]) == (ROWS, ROWS)
    assert bank.last_wins[0, 2] - bank.first_wins[0, 2] >= DAY
    assert bank.quarantined[0] == -1
    assert bank.within[0] == pytest.approx(np.ones(SHAPE.features), rel=0.05)


def test_it_may_fill_a_whole_days_rhythm() -> None:
    times, values = readings()
    values += 2.5 * np.sin(2 * np.pi * times[:, None] / DAY + np.arange(SHAPE.features))
    assert promoted(times, values)[0] == 1


def test_what_smears_over_more_than_twice_the_spread_of_one_feature_is_none() -> None:
    times, values = readings()
    values[:, 3] += np.random.default_rng(2).normal(0.0, 4.5, ROWS)
    assert promoted(times, values)[0] == 0


@pytest.mark.parametrize(("travels", "done"), [(1.0, 1), (8.0, 0), (-8.0, 0)])
def test_what_moves_steadily_in_one_feature_of_many_is_none(travels: float, done: int) -> None:
    times, values = readings()
    values[:, 3] += travels * times / DAY
    judged, bank = promoted(times, values)
    assert judged == done
    assert bank.quarantined[0] == -1, "it begins anew"


def test_what_does_not_last_stays_in_quarantine() -> None:
    times, values = readings()
    done, bank = promoted(0.9 * times, values)
    assert done == 0
    assert bank.quarantined[0] >= 0
    done, bank = promoted(times[-400:] - times[-400] + np.linspace(0, DAY, 400), values[-400:])
    assert done == 0, "it has lasted, but of too few rows"


def test_missing_values_count_for_nothing() -> None:
    times, values = readings()
    values[np.random.default_rng(3).random(values.shape) < 0.3] = np.nan
    values[:, 5] = np.nan
    done, bank = promoted(times, values)
    assert done == 1
    assert bank.centroids[0, 2, 4] == pytest.approx(np.nanmean(values[:, 4]), rel=1e-5)
    assert bank.centroids[0, 2, 5] == bank.means[0, 5] == 5.0
