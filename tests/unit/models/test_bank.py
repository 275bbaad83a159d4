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
    made.rows_learned[:slots] = numbers
    for slot in range(2, slots):
        made.incidents.held["start"][made.begin_incident(slot)] = slot
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
    assert target.incidents_of(np.array(order))["start"].tolist() == [0, 0, 2, 3, 4]
    assert target.pool.rows_of(target.seeds[0]).tobytes() == seed_rows(3).tobytes()


def test_a_seeded_slot_is_as_large_as_the_bank_says() -> None:
    made = bank()
    made.release(np.array([0]))
    assert len(made.pack(np.array([0]))[0]) == made.bytes_per_slot


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


def test_growing_leaves_those_who_look_at_the_slots_what_they_saw() -> None:
    made = bank()
    looks, before = made.means[:5], made.means[:5].copy()
    made.reserve(100_000)
    made.means[:5] = 7.0
    np.testing.assert_array_equal(looks, before)
    assert made.means.shape[0] == made.capacity == len(made.seen)
    assert np.isinf(made.last_seen[5:]).all()
    assert (made.seeds[5:] == -1).all()


def test_a_large_bank_grows_by_a_part_of_its_size() -> None:
    wide = Bank(Shape(features=300, centroids=8, rows=16, keyed=True), seed_rows=8)
    grown = []
    while wide.capacity < 5000:
        before = wide.capacity
        wide.reserve(before)
        grown.append(wide.capacity - before)
    assert grown[0] == 16
    assert max(grown) * wide.bytes_per_slot < 10e6


def test_a_cleared_slot_knows_nothing_and_gathers_seeds_anew() -> None:
    made = bank()
    made.clear(np.array([3]))
    assert np.isnan(made.means[3]).all()
    assert made.masses[3].tolist() == [0.0, 0.0]
    assert made.incidents_of(np.array([3]))["start"] == 0
    assert made.incidents.used == 2, "those of slots 2 and 4"
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


def test_the_seed_pool_gives_memory_back_that_no_slot_needs_any_more() -> None:
    pool = SeedPool(1000, 100)  # twenty places in a chunk
    places = pool.take(60)
    whole = pool.nbytes
    for place in places.tolist():
        pool.append(np.array([place]), np.full((1, 100), place, np.float32))
    pool.release(places[:-1])
    assert 0 < pool.nbytes < whole / 2
    assert pool.rows_of(places[-1])[:, 0].tolist() == [places[-1]]
    pool.release(places[-1:])
    assert pool.nbytes == 0
    again = pool.take(61)
    pool.append(again, np.repeat(again.astype(np.float32)[:, None], 100, 1))
    assert [pool.rows_of(place)[0, 0] for place in again.tolist()] == again.tolist()


def test_full_places_are_read_from_all_their_chunks() -> None:
    pool = SeedPool(1000, 1000)  # two places in a chunk
    places = pool.take(5)
    for place in places.tolist():
        pool.append(np.full(1000, place), np.full((1000, 1000), place, np.float32))
    assert pool.full(places[::-1])[:, 999, 999].tolist() == places[::-1].tolist()
