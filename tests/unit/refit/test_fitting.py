from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage

from detector.refit.density import k_distances, knee
from detector.refit.fitting import fit
from detector.refit.values import Candidate, Parameters, Window
from detector.refit.ward import weighted_ward
from detector.types import Float64, Int64

CENTRES = np.array([[0.0, 0.0, 0.0], [8.0, 0.0, 2.0], [0.0, 9.0, -3.0]])
DBSCAN = Parameters("dbscan")
WARD = Parameters("hierarchical")
KMEANS = Parameters("kmeans")
ALL = pytest.mark.parametrize("parameters", [DBSCAN, WARD, KMEANS], ids=lambda each: each.algorithm)


def blobs(rows: int = 900, noise: int = 12, seed: int = 0) -> tuple[Float64, Int64]:
    """Return three blobs of falling size and rows far from all of them, in units of different size."""
    rng = np.random.default_rng(seed)
    of = rng.choice(3, rows, p=[0.5, 0.3, 0.2])
    normal = CENTRES[of] + rng.normal(0, 0.5, (rows, 3))
    far = rng.choice([-1.0, 1.0], (noise, 3)) * rng.uniform(14, 25, (noise, 3))
    return np.concatenate([normal, far]) * [1.0, 100.0, 1e-3] + [5.0, -300.0, 0.0], of


def window(values: Float64, centroids: int = 8, members: int = 1) -> Window:
    rows = values.astype(np.float32)
    return Window(
        rows,
        np.ones(len(rows)),
        np.nanmean(rows, 0).astype(np.float32),
        np.nanvar(rows, 0).astype(np.float32),
        centroids,
        members,
    )


def bits(candidate: Candidate) -> list[bytes]:
    return [np.asarray(getattr(candidate, name)).tobytes() for name in candidate.__slots__]


@ALL
def test_each_algorithm_finds_the_clusters_and_the_noise(parameters: Parameters) -> None:
    values, of = blobs()
    found = fit(window(values), parameters)
    assert found.clusters == 3
    assert found.noise[len(of) :].all()
    assert found.noise[: len(of)].mean() < 0.03
    kept = ~found.noise[: len(of)]
    assert (found.labels[: len(of)][kept] == of[kept]).mean() > 0.99


def test_rows_are_measured_by_how_broad_their_own_cluster_is_where_the_model_does() -> None:
    rng = np.random.default_rng(2)
    tight, loose = rng.normal(0, 0.1, (3000, 3)), rng.normal(30, 1.0, (3000, 3))
    asked = window(np.concatenate([tight, loose]), centroids=2)
    plain, by_own = fit(asked, KMEANS), fit(replace(asked, own=True), KMEANS)
    assert by_own.centroids.tobytes() == plain.centroids.tobytes()
    apart = [np.median(each.distances[3000:]) / np.median(each.distances[:3000]) for each in (plain, by_own)]
    assert apart[1] < 0.6 * apart[0]


@ALL
def test_a_candidate_has_the_form_of_the_model_and_is_calibrated(parameters: Parameters) -> None:
    values, _ = blobs()
    found = fit(window(values, centroids=8, members=5), parameters)
    assert found.centroids.shape == (40, 3)
    assert found.masses.reshape(5, 8).sum(1) == pytest.approx(len(values))
    assert np.isfinite(found.centroids).all()
    assert (found.distances > found.sketch[0]).mean() == pytest.approx(0.05, abs=0.005)
    assert found.sketch[1] == pytest.approx(np.clip(found.distances - found.sketch[0], 0, None).sum() / 45.6, rel=0.1)


@ALL
def test_members_differ_and_the_same_window_gives_the_same_bits(parameters: Parameters) -> None:
    values, _ = blobs()
    asked = window(values, members=3)
    found = fit(asked, parameters)
    first, second, _ = found.centroids.reshape(3, 8, 3)
    assert not np.allclose(first, second)
    assert bits(found) == bits(fit(asked, parameters))


@ALL
def test_every_cluster_gets_a_centroid_and_the_rest_split_the_widest(parameters: Parameters) -> None:
    values, of = blobs(noise=0)
    found = fit(window(values, centroids=8), parameters)
    sd = window(values).variances ** 0.5
    centres = CENTRES * [1.0, 100.0, 1e-3] + [5.0, -300.0, 0.0]
    apart = np.linalg.norm((found.centroids[:, None] - centres) / sd, axis=2)
    assert (apart.min(1) < 0.5).all()  # none lies between clusters
    assert set(apart.argmin(1).tolist()) == {0, 1, 2}
    alone = fit(window(values, centroids=3), parameters)
    assert (np.linalg.norm((alone.centroids[:, None] - centres) / sd, axis=2).min(0) < 0.1).all()
    assert (alone.masses == np.sort(np.bincount(of - of.min()))[::-1]).mean() > 0.3


def test_more_clusters_than_centroids_are_merged_by_ward() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [3.0, 0.0], [40.0, 0.0], [40.0, 3.0]])
    values = centres[rng.choice(4, 1000, p=[0.4, 0.1, 0.4, 0.1])] + rng.normal(0, 0.2, (1000, 2))
    found = fit(window(values, centroids=2), DBSCAN)
    assert found.clusters == 4
    assert sorted(found.centroids[:, 0].tolist()) == pytest.approx([0.6, 40.0], abs=0.2)  # each of two, by their mass
    assert found.masses.sum() == pytest.approx(1000)


def test_a_curved_cluster_is_one_cluster_to_dbscan_and_is_followed_by_all_centroids() -> None:
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 1500)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) + rng.normal(0, 0.04, (1500, 2))
    found = fit(window(ring, centroids=16), replace(DBSCAN, eps=0.3))
    assert found.clusters == 1
    assert (found.masses > 0).sum() == 16
    assert np.linalg.norm(found.centroids, axis=1) == pytest.approx(1.0, abs=0.1)  # none sits in the empty middle


@ALL
@pytest.mark.parametrize("case", ["alike", "one", "two", "missing", "constant"])
def test_poor_windows_give_a_candidate_all_the_same(parameters: Parameters, case: str) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 3))
    match case:
        case "alike":
            values[:] = 3.0
        case "one":
            values = values[:1]
        case "two":
            values = values[:2]
        case "missing":
            values[rng.random((200, 3)) < 0.3] = np.nan
        case "constant":
            values[:, 1] = 7.0
    found = fit(window(values), parameters)
    assert np.isfinite(found.centroids).all()
    assert found.masses.sum() == pytest.approx(len(values))
    assert np.isfinite(found.sketch).all()
    assert (found.sketch[:2] >= 0).all()


def test_a_centroid_tells_when_it_won_its_first_row_and_its_last_and_noise_does_not_count() -> None:
    values, of = blobs(noise=12)
    times = np.where(np.arange(len(values)) < len(of), 1000.0 * (1 + np.arange(len(values)) % 5), 1e9)
    times[: len(of)][of == 2] = 7000.0
    found = fit(replace(window(values), times=times), KMEANS)
    of_two = np.flatnonzero(found.lasts == 7000.0)
    assert len(of_two) > 0
    assert (found.firsts[of_two] == 7000.0).all()
    others = (found.masses > 0) & (found.lasts != 7000.0)
    assert found.firsts[others].min() == 1000.0
    assert found.lasts[others].max() == 5000.0
    assert (found.lasts[found.masses == 0] == 0.0).all()


def test_weights_count_as_rows() -> None:
    values, _ = blobs(noise=0)
    heavy = window(values, centroids=3)
    heavy = replace(heavy, weights=np.where(values[:, 1] > 300, 10.0, 1.0))  # the smallest blob
    found = fit(heavy, DBSCAN)
    assert np.median(found.labels[values[:, 1] > 300]) == 0
    assert found.masses.max() > 0.6 * heavy.weights.sum()


def test_the_weighted_tree_is_that_of_scipy_where_all_weigh_the_same() -> None:
    points = np.random.default_rng(0).normal(size=(60, 4))
    assert weighted_ward(points, np.full(60, 3.0)) == pytest.approx(linkage(points, "ward"))


def test_the_weighted_tree_is_that_of_the_rows_the_points_stand_for() -> None:
    rng = np.random.default_rng(0)
    points, counts = rng.normal(size=(12, 3)), rng.integers(1, 6, 12)
    of_rows = linkage(np.repeat(points, counts, axis=0), "ward")[:, 2]
    weighted = weighted_ward(points, counts.astype(np.float64))[:, 2] * np.sqrt(counts.mean())
    assert weighted == pytest.approx(of_rows[-11:])


def test_many_rows_are_clustered_by_micro_clusters() -> None:
    values, of = blobs(rows=6000, noise=0)
    found = fit(window(values), WARD)
    assert found.clusters == 3
    assert len(found.tree) < 500
    kept = ~found.noise
    assert (found.labels[kept] == of[kept]).mean() > 0.99


@pytest.mark.parametrize(("cut", "clusters"), [({"count": 2}, 2), ({"distance": 1e9}, 1), ({"count": 5}, 5)])
def test_the_tree_is_cut_where_the_configuration_says(cut: dict[str, float], clusters: int) -> None:
    values, _ = blobs(noise=0)
    assert fit(window(values), replace(WARD, **cut)).clusters == clusters  # type: ignore[arg-type]


def test_a_light_cluster_beside_two_heavy_ones_is_a_cluster_and_no_noise() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[20.0, 40.0, 100.0, 5.0], [60.0, 70.0, 300.0, 9.0], [35.0, 90.0, 50.0, 2.0]])
    of = rng.choice(3, 4000, p=[0.6, 0.3, 0.1])
    found = fit(window(centres[of] + rng.normal(0, [2.0, 3.0, 10.0, 0.5], (4000, 4))), WARD)
    assert (found.clusters, found.noise.mean() < 0.01) == (3, True)


def test_of_few_values_each_is_a_cluster_of_the_tree_however_often_it_comes() -> None:
    values = np.repeat([[0.0, 1.0], [5.0, 1.0], [5.0, 9.0]], 100, axis=0)
    assert fit(window(values), WARD).clusters == 3


def test_kmeans_takes_the_number_given_and_one_where_there_is_no_structure() -> None:
    values, _ = blobs(noise=0)
    assert fit(window(values), replace(KMEANS, k=5)).clusters == 5
    cloud = np.random.default_rng(0).normal(size=(800, 6))
    assert fit(window(cloud), KMEANS).clusters == 1


def test_the_knee_lies_where_the_k_distances_bend_up() -> None:
    values, _ = blobs(noise=12)
    asked = window(values)
    z = (values - asked.means) / np.sqrt(asked.variances)
    distances = k_distances(z, 10)
    assert distances[len(z) // 2] < knee(distances) < distances[-12]
    assert knee(np.array([2.0, 2.0, 2.0])) == 2.0
