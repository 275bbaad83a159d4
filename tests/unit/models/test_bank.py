"""The bank: slots in arrays, and as bytes."""

from __future__ import annotations

import numpy as np
import pytest

from detector.models.bank import Bank
from detector.models.calibration import prior
from detector.models.pools import SeedPool
from detector.models.shape import Shape
from detector.types import Float32

SHAPE = Shape(features=3, centroids=2, rows=16, keyed=True)


def bank(slots: int = 5) -> Bank:
    """Return a bank whose slots hold random states, i seed rows in slot i, and a quarantine in every other one."""
    made, rng = Bank(SHAPE, seed_rows=8, smoothing=2), np.random.default_rng(1)
    made.reserve(slots - 1)
    numbers = np.arange(slots)
    made.clear(numbers)
    made.centroids[:slots] = rng.normal(size=(slots, 2, 3))
    made.traits[:slots] = rng.normal(size=(slots, SHAPE.traits))
    for array in (made.times, made.sketches, made.smoothed):
        array[:slots] = rng.normal(size=(slots, *array.shape[1:]))
    made.incidents["start"][:slots], made.rows_learned[:slots] = 3.0, numbers
    made.last_seen[:slots] = 5.0
    for place in made.quarantine(np.arange(1, slots, 2)).tolist():
        made.clusters.held[place] = rng.normal(size=made.clusters.width)
    for slot in range(slots):
        made.pool.append(np.full(slot, made.seeds[slot]), seed_rows(slot))
    return made


def seed_rows(n: int) -> Float32:
    return np.arange(3 * n, dtype=np.float32).reshape(n, 3)


def test_a_slot_packed_and_unpacked_elsewhere_has_the_same_bytes() -> None:
    source = bank()
    source.release(np.array([4]))
    packed = source.pack(np.arange(5))
    target = Bank(SHAPE, seed_rows=8, smoothing=2)
    target.reserve(40)
    order = [17, 3, 39, 0, 8]
    target.unpack(order, packed)
    assert target.pack(np.array(order)) == packed
    assert target.unseeded(np.array(order)).tolist() == [True, True, True, True, False]
    assert (target.quarantined[order] >= 0).tolist() == [False, True, False, True, False]
    assert target.pool.rows_of(target.seeds[0]).tobytes() == seed_rows(3).tobytes()


def test_a_seeded_slot_is_as_large_as_the_bank_says() -> None:
    made = bank()
    made.release(np.array([2]))
    assert len(made.pack(np.array([2]))[0]) == made.bytes_per_slot


@pytest.mark.parametrize("cut", [1, 2, 200])
def test_bytes_of_another_shape_are_refused(cut: int) -> None:
    made = bank()
    with pytest.raises(ValueError, match="does not fit"):
        made.unpack([0], [made.pack(np.array([3]))[0][:-cut]])


def test_nothing_is_kept_for_smoothing_where_it_is_off() -> None:
    plain = Bank(SHAPE, seed_rows=8)
    assert plain.smoothed.shape[1] == 0
    assert plain.bytes_per_slot == bank().bytes_per_slot - 8 * 2 * (1 + 3)


def test_growing_keeps_the_slots() -> None:
    made = bank()
    before = made.pack(np.arange(5))
    made.reserve(1000)
    assert made.capacity > 1000
    assert made.pack(np.arange(5)) == before


def test_a_cleared_slot_knows_nothing_and_gathers_seeds_anew() -> None:
    made = bank()
    made.clear(np.array([3]))
    assert np.isnan(made.means[3]).all()
    assert made.masses[3].tolist() == [0.0, 0.0]
    assert made.incidents["start"][3] == 0
    assert made.rows_learned[3] == 0
    assert np.isnan(made.smoothed[3]).all()
    assert made.sketches[3].tolist() == [prior(3).tolist()] * 2
    assert not any(array[3].any() for array in (made.times, made.wins, made.gates))
    assert made.quarantined[3] == -1
    assert made.clusters.used == 1, "that of slot 1"
    assert len(made.pool.rows_of(made.seeds[3])) == 0


def test_what_is_gathered_and_scattered_is_the_same() -> None:
    made, slots = bank(), np.array([4, 1])
    states = made.gather(slots, SHAPE.frames[-1])
    assert states.centroids.shape == (SHAPE.call_slots + 1, 2, 3)
    assert not states.traits[-1].any()
    before = made.pack(np.arange(5))
    made.scatter(slots, states)
    assert made.pack(np.arange(5)) == before


def test_the_first_value_of_a_feature_is_where_its_mean_and_centroids_begin() -> None:
    made = Bank(SHAPE, seed_rows=8)
    made.clear(np.arange(2))
    nan = np.nan
    rows = np.array([[1, nan, nan], [7, nan, nan], [2, 5, nan], [3, 6, nan]], np.float32)
    made.pivot(np.array([0, 1, 0, 0]), rows)
    np.testing.assert_array_equal(made.means[:2], [[1, 5, nan], [7, nan, nan]])
    np.testing.assert_array_equal(made.centroids[0], [[1, 5, 0], [1, 5, 0]])
    made.pivot(np.array([0, 1]), np.array([[9, 9, 9], [8, 8, nan]], np.float32))
    np.testing.assert_array_equal(made.means[:2], [[1, 5, 9], [7, 8, nan]])


def test_a_returned_slot_goes_on_to_learn_features_it_never_saw() -> None:
    made = Bank(SHAPE, seed_rows=8)
    made.clear(np.arange(1))
    made.pivot(np.array([0]), np.array([[1, np.nan, np.nan]], np.float32))
    other = Bank(SHAPE, seed_rows=8)
    other.unpack([0], made.pack(np.array([0])))
    other.pivot(np.array([0]), np.array([[5, 2, 3]], np.float32))
    assert other.means[0].tolist() == [1, 2, 3]


def test_the_seed_pool_keeps_the_first_rows_in_order_and_reuses_places() -> None:
    pool = SeedPool(3, 1)
    a, b = pool.take(2).tolist()
    pool.append(np.array([a, b, a]), np.array([[1], [10], [2]], np.float32))
    pool.append(np.array([a, a, b]), np.array([[3], [4], [20]], np.float32))
    assert pool.rows_of(a).ravel().tolist() == [1, 2, 3]
    assert pool.rows_of(b).ravel().tolist() == [10, 20]
    assert pool.used == 2
    pool.release(np.array([a, -1], np.int32))
    assert pool.used == 1
    many = pool.take(100)
    assert len({b, *many.tolist()}) == 101
    assert pool.counts[many].tolist() == [0] * 100
    assert pool.rows_of(b).ravel().tolist() == [10, 20]
