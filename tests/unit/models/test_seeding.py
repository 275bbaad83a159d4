"""Seeding and the splitting of dead centroids."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs

from detector.models.seeding import Seeds, UInt64, draw_key, seed, split_dead, uniforms
from detector.types import Float32

NONE = np.zeros((1, 3), np.bool_)


def keys(*numbers: int) -> UInt64:
    return np.array(numbers, np.uint64)


def seeded(rows: Float32, centroids: int, *numbers: int) -> Seeds:
    return seed(rows, np.nanmean(rows, 1), np.nanvar(rows, 1), centroids, keys(*numbers))[0]


def inertia(rows: Float32, centroids: Float32) -> float:
    return float(((rows[:, None] - centroids) ** 2).sum(2).min(1).sum())


@pytest.mark.parametrize("number", range(20))
def test_no_blob_is_missed(number: int) -> None:
    x, _ = make_blobs(512, n_features=4, centers=8, random_state=number)
    rows = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
    best = KMeans(8, n_init=10, random_state=0).fit(rows).inertia_
    assert inertia(rows, seeded(rows[None], 8, number).centroids[0]) <= 1.05 * best


def test_slots_do_not_depend_on_each_other_nor_on_their_order() -> None:
    rows = np.random.default_rng(1).normal(size=(5, 40, 3)).astype(np.float32)
    together = seeded(rows, 4, 10, 11, 12, 13, 14)
    backwards = seeded(rows[::-1].copy(), 4, 14, 13, 12, 11, 10)
    for i in range(5):
        alone = seeded(rows[i : i + 1], 4, 10 + i)
        for field, other, single in zip(together, backwards, alone, strict=True):
            assert field[i].tobytes() == other[4 - i].tobytes() == single[0].tobytes()


def test_another_key_draws_otherwise_and_the_same_key_the_same() -> None:
    rows = np.random.default_rng(2).normal(size=(1, 40, 3)).astype(np.float32)
    assert seeded(rows, 4, 1).centroids.tobytes() == seeded(rows, 4, 1).centroids.tobytes()
    assert seeded(rows, 4, 1).centroids.tobytes() != seeded(rows, 4, 2).centroids.tobytes()
    assert draw_key("seed", "t", 0, "a") == draw_key("seed", "t", 0, "a") == 12233336568955519058
    assert (
        len({draw_key("seed", "t", 0, "ab"), draw_key("seed", "t", 0, "a", "b"), draw_key("seed", "t", "0a", "b")}) == 3
    )


def test_uniform_numbers_are_uniform() -> None:
    many = np.stack([uniforms(np.arange(2000, dtype=np.uint64), draw) for draw in range(10)])
    assert (many >= 0).all()
    assert (many < 1).all()
    counts, _ = np.histogram(many, 20, (0, 1))
    assert counts == pytest.approx(np.full(20, 1000), abs=150)
    assert np.abs(np.atleast_2d(np.corrcoef(many))[0, 1:]).max() < 0.1


def test_masses_count_the_rows_and_spreads_are_the_mean_squares() -> None:
    rows = np.random.default_rng(3).normal(size=(1, 64, 2)).astype(np.float32)
    seeds = seeded(rows, 3, 5)
    assert seeds.masses.sum() == 64
    sd = rows[0].std(0) + 0.01 * np.abs(rows[0].mean(0)) + 1e-9
    scaled = inertia(rows[0] / sd, seeds.centroids[0] / sd)
    assert (seeds.masses * seeds.spreads).sum() == pytest.approx(scaled, rel=1e-4)


def test_more_centroids_than_distinct_rows_leave_the_rest_without_mass() -> None:
    rows = np.repeat(np.array([[[1.0, 2.0], [3.0, 4.0]]], np.float32), 20, axis=1)
    seeds = seeded(rows, 6, 7)
    assert (seeds.masses > 0).sum() == 2
    assert seeds.masses.sum() == 40
    assert np.isfinite(seeds.centroids).all()


def test_missing_values_count_as_the_mean_and_an_unseen_feature_as_nothing() -> None:
    rows = np.random.default_rng(4).normal(5.0, 1.0, (1, 64, 3)).astype(np.float32)
    rows[0, ::3, 1] = np.nan
    rows[0, :, 2] = np.nan
    mean = np.array([[5.0, 5.0, np.nan]], np.float32)
    seeds, _ = seed(rows, mean, np.array([[1.0, 1.0, 0.0]], np.float32), 4, keys(9))
    assert np.isfinite(seeds.centroids).all()
    assert np.abs(seeds.centroids[0, :, :2] - 5.0).max() < 3.0


def heavy_and_dead(spread: float) -> Seeds:
    centroids = np.array([[[0.0, 0.0], [100.0, 1e6], [50.0, 50.0]]], np.float32)
    return Seeds(centroids, np.array([[40.0, 60.0, 0.1]], np.float32), np.array([[1.0, spread, 0.0]], np.float32))


def test_a_dead_centroid_gets_half_of_the_heaviest_and_they_part_by_its_spread() -> None:
    seeds, var = heavy_and_dead(2.0), np.array([[4.0, 1e8]], np.float32)
    assert split_dead(seeds, np.zeros((1, 2), np.float32), var, keys(1), NONE).tolist() == [2]
    assert seeds.masses.tolist() == [[40.0, 30.0, 30.0]]
    one, other = seeds.centroids[0, 1], seeds.centroids[0, 2]
    assert (one + other) / 2 == pytest.approx([100.0, 1e6])
    assert np.abs(one - other) == pytest.approx([2.0, 1e4], rel=1e-5)


def test_the_halves_part_even_where_a_fixed_shift_would_vanish_in_float32() -> None:
    seeds = heavy_and_dead(1e-6)
    split_dead(seeds, np.array([[100.0, 1e6]], np.float32), np.array([[1.0, 1e4]], np.float32), keys(1), NONE)
    assert (seeds.centroids[0, 1] != seeds.centroids[0, 2]).all()
    assert np.float32(1e6) + np.float32(1e-14) == np.float32(1e6)


def test_what_is_to_be_spared_is_not_dead_however_little_it_holds() -> None:
    ones = np.ones((1, 2), np.float32)
    seeds = heavy_and_dead(2.0)
    proven = np.array([[False, False, True]])
    assert split_dead(seeds, ones, ones, keys(1), proven).tolist() == [-1]
    seeds.masses[0, 0] = 0.2
    assert split_dead(seeds, ones, ones, keys(1), proven).tolist() == [0], "the next one that is dead"
    assert seeds.centroids[0, 2].tolist() == [50.0, 50.0]
    assert split_dead(heavy_and_dead(2.0), ones, ones, keys(1), ~NONE).tolist() == [-1]


@pytest.mark.parametrize(
    "seeds",
    [
        heavy_and_dead(0.0),
        Seeds(*(field[:, :1] for field in heavy_and_dead(2.0))),
        Seeds(*(field[:, :2] for field in heavy_and_dead(2.0))),
    ],
    ids=["no spread", "one centroid", "none dead"],
)
def test_otherwise_nothing_is_split(seeds: Seeds) -> None:
    before = [field.copy() for field in seeds]
    ones = np.ones((1, 2), np.float32)
    assert split_dead(seeds, ones, ones, keys(1), NONE[:, : seeds.masses.shape[1]]).tolist() == [-1]
    assert all((a == b).all() for a, b in zip(seeds, before, strict=True))


def test_rows_lie_as_far_from_centroids_as_if_those_had_been_made_without_them() -> None:
    rows = np.random.default_rng(3).normal(size=(1, 40, 2)).astype(np.float32)
    mean, var = rows.mean(1), rows.var(1)
    seeds, apart = seed(rows, mean, var, 4, keys(1))
    z = (rows[0] - mean[0]) / (np.sqrt(var[0]) + 0.01 * np.abs(mean[0]))
    centroids = (seeds.centroids[0] - mean[0]) / (np.sqrt(var[0]) + 0.01 * np.abs(mean[0]))
    nearest = ((z[:, None] - centroids) ** 2).sum(2).argmin(1)
    for i in range(40):
        others = [j for j in range(40) if nearest[j] == nearest[i] and j != i]
        assert others
        assert apart[0, i] == pytest.approx(z[i] - z[others].mean(0), abs=1e-3)


def test_of_no_more_values_than_centroids_those_that_came_once_are_new() -> None:
    rows = np.zeros((1, 40, 1), np.float32)
    rows[0, 7:9], rows[0, 20] = 1.0, 3.0
    _, apart = seed(rows, np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32), 4, keys(1))
    assert np.flatnonzero(np.abs(apart[0, :, 0]) > 1e-3).tolist() == [20]
    assert apart[0, 20, 0] == pytest.approx(2.0, abs=1e-3)


def test_equal_rows_lie_on_their_one_centroid() -> None:
    rows = np.full((1, 40, 2), 5.0, np.float32)
    _, apart = seed(rows, rows[:, 0], np.zeros((1, 2), np.float32), 4, keys(1))
    assert not apart.any()
