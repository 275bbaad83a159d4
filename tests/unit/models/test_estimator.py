"""The scikit-learn estimator: scikit-learn's own checks, its reference implementations, and the daemon's blocks."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.datasets import make_blobs
from sklearn.utils.estimator_checks import parametrize_with_checks

import detector
from detector import OnlineKMeans
from detector.types import Float64


@parametrize_with_checks([OnlineKMeans(n_clusters=4, block_rows=16, seed_rows=8)])  # type: ignore[untyped-decorator]  # scikit-learn ships no types
def test_it_is_a_scikit_learn_estimator(estimator: OnlineKMeans, check: Callable[[Any], None]) -> None:
    check(estimator)


def blobs(seed: int, rows: int = 6400) -> Float64:
    """Eight clusters in four features, standardised."""
    x, _ = make_blobs(rows, n_features=4, centers=8, random_state=seed)
    standard: Float64 = (x - x.mean(0)) / x.std(0)
    return standard


def inertia(x: Float64, centroids: Float64) -> float:
    return float(((x[:, None] - centroids) ** 2).sum(2).min(1).sum())


class Dataset:
    """What a `tf.data.Dataset` of batches looks like to the estimator."""

    def __init__(self, batches: list[Any]) -> None:
        self._batches = batches

    def as_numpy_iterator(self) -> Iterator[Any]:
        return iter(self._batches)


@pytest.mark.parametrize("seed", range(20))
def test_its_inertia_is_within_five_percent_of_scikit_learns(seed: int) -> None:
    x = blobs(seed)
    online = inertia(x, OnlineKMeans(8, random_state=seed).fit(x).cluster_centers_)
    batch = inertia(x, KMeans(8, n_init=3, random_state=seed).fit(x).cluster_centers_)
    mini = inertia(x, MiniBatchKMeans(8, n_init=3, random_state=seed).fit(x).cluster_centers_)
    assert online <= 1.05 * batch
    assert online <= 1.05 * mini


@pytest.mark.parametrize("size", [11, 256, 300])
def test_pieces_give_the_bits_of_the_whole(size: int) -> None:
    x = blobs(1, rows=900)
    whole = OnlineKMeans(8, random_state=0).partial_fit(x)
    pieces = OnlineKMeans(8, random_state=0)
    for start in range(0, len(x), size):
        pieces.partial_fit(x[start : start + size])
    assert pieces.cluster_centers_.tobytes() == whole.cluster_centers_.tobytes()
    assert pieces.masses_.tobytes() == whole.masses_.tobytes()
    assert pieces.n_samples_seen_ == 768


def test_rows_of_the_open_block_are_learned_only_when_it_is_complete_or_fit_ends() -> None:
    x = blobs(2, rows=300)
    model = OnlineKMeans(8, random_state=0).partial_fit(x[:255])
    assert (model.predict(x) == -1).all()
    assert np.isnan(model.score_samples(x)).all()
    assert model.partial_fit(x[255:]).n_samples_seen_ == 256
    assert OnlineKMeans(8, random_state=0).fit(x).n_samples_seen_ == 300


def test_a_dataset_of_batches_is_as_good_as_an_array() -> None:
    x = blobs(3, rows=900)
    array = OnlineKMeans(8, random_state=0).fit(x)
    dataset = OnlineKMeans(8, random_state=0).fit(Dataset([x[:100], x[100:650], x[650:]]))
    assert dataset.cluster_centers_.tobytes() == array.cluster_centers_.tobytes()
    assert not hasattr(dataset, "labels_")
    pairs = Dataset([(x[:400], np.zeros(400)), (x[400:], np.zeros(500))])
    for method in ("predict", "transform", "score_samples"):
        assert getattr(dataset, method)(pairs).tobytes() == getattr(array, method)(x).tobytes()


def test_a_tensorflow_dataset_will_do() -> None:
    import tensorflow as tf  # noqa: PLC0415 - the one test that needs it

    x = blobs(3, rows=900)
    dataset = OnlineKMeans(8, random_state=0).fit(tf.data.Dataset.from_tensor_slices(x).batch(128))
    assert dataset.cluster_centers_.tobytes() == OnlineKMeans(8, random_state=0).fit(x).cluster_centers_.tobytes()


def test_an_empty_dataset_is_refused() -> None:
    with pytest.raises(ValueError, match="no batch"):
        OnlineKMeans().fit(Dataset([]))


def test_transform_agrees_with_predict_and_score_samples() -> None:
    x = blobs(4, rows=900)
    x[::7, 1] = np.nan
    model = OnlineKMeans(8, random_state=0).fit(x)
    distances = model.transform(x)
    assert distances.shape == (900, 8)
    assert (distances.argmin(1) == model.predict(x)).all()
    assert (-distances.min(1)).tobytes() == model.score_samples(x).tobytes()
    assert (model.labels_ == model.predict(x)).all()
    assert model.inertia_ == pytest.approx((distances.min(1).astype(np.float64) ** 2).sum())


def test_rows_without_half_their_features_are_not_judged() -> None:
    x = blobs(5, rows=600)
    model = OnlineKMeans(8, random_state=0).fit(x)
    row = np.array([[0.1, np.nan, np.nan, np.nan], [0.1, np.nan, 0.2, np.nan]])
    assert model.predict(row).tolist()[0] == -1
    assert np.isnan(model.transform(row)[0]).all()
    assert np.isfinite(model.score_samples(row)[1])


def test_more_centroids_than_distinct_rows_leave_some_over() -> None:
    x = np.repeat(np.array([[0.0, 1, 2, 3], [5, 5, 5, 5], [9, 1, 0, 4]]), 200, axis=0)
    model = OnlineKMeans(8, random_state=0).fit(np.random.default_rng(0).permutation(x))
    assert (model.masses_ > 0).sum() == 3
    assert len(np.unique(model.cluster_centers_, axis=0)) == 3
    assert np.isfinite(model.transform(x)).all()
    assert model.inertia_ == pytest.approx(0.0, abs=1e-6)


def test_a_pickled_model_goes_on_with_the_same_bits() -> None:
    x = blobs(6, rows=1200)
    straight, copied = OnlineKMeans(8, random_state=0), OnlineKMeans(8, random_state=0)
    for start in (0, 300, 700):  # before seeding, in the middle of a block, after seeding
        part = x[start : start + 300]
        copied = pickle.loads(pickle.dumps(copied.partial_fit(part)))
        straight.partial_fit(part)
        assert copied.score_samples(x).tobytes() == straight.score_samples(x).tobytes()
    assert copied.fit(x).cluster_centers_.tobytes() == straight.fit(x).cluster_centers_.tobytes()


def test_the_past_fades_by_events_and_by_time() -> None:
    rng = np.random.default_rng(7)
    x = np.concatenate([rng.normal(0, 1, (1024, 4)), rng.normal(3, 1, (1024, 4))])
    steady = OnlineKMeans(8, random_state=0).fit(x)
    fading = OnlineKMeans(8, half_life_events=256, half_life_time=1e9, random_state=0).fit(x, times=np.zeros(2048))
    by_time = OnlineKMeans(8, half_life_events=1e9, half_life_time=25.6, random_state=0)
    by_time.fit(x, times=np.arange(2048) * 0.1)
    assert steady.masses_.sum() == 2048
    assert fading.masses_.sum() == pytest.approx(512, rel=0.01)
    assert by_time.masses_.sum() == pytest.approx(512, rel=0.05)


@pytest.mark.parametrize("times", [None, np.zeros(3), np.full(900, np.nan)])
def test_decay_by_time_needs_a_finite_time_for_each_row(times: Float64 | None) -> None:
    with pytest.raises(ValueError, match="times"):
        OnlineKMeans(half_life_time=10.0).fit(blobs(8, rows=900), times=times)


@pytest.mark.parametrize("parameters", [{"n_clusters": 0}, {"n_clusters": 257}, {"block_rows": 15}, {"seed_rows": 7}])
def test_parameters_out_of_range_are_refused(parameters: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="Input should be"):
        OnlineKMeans(**parameters).fit(blobs(9, rows=900))


def test_values_beyond_float32_are_refused() -> None:
    x = blobs(10, rows=300)
    x[5, 2] = 1e39
    with pytest.raises(ValueError, match="float32"):
        OnlineKMeans().fit(x)


def test_importing_the_package_does_not_import_tensorflow() -> None:
    code = "import detector, sys; print('tensorflow' in sys.modules, 'OnlineKMeans' in detector.__all__)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.split() == ["False", "True"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = detector.nothing
