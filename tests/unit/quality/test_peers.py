from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.quality import peers
from detector.quality.peer_models import RunningZ
from detector.quality.peers import KINDS, Kind
from tests.support.labelled import run_of

INSTALLED = [kind for kind in KINDS if kind.installed]


def normal_rows(rows: int = 600) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)


def scores(kind: Kind, values: NDArray[np.float32], stream: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    return peers.score(kind, run_of(np.zeros(len(values)), values=values, stream=stream), lambda _: None)


def test_those_that_come_with_the_detector_are_always_there() -> None:
    names = ["running z", "sklearn IsolationForest", "sklearn MiniBatchKMeans"]
    assert [kind.name for kind in INSTALLED][:3] == names


def test_one_whose_package_is_not_there_is_not_installed() -> None:
    absent = Kind("absent", "a_package_that_is_nowhere", lambda features, _: RunningZ(features))
    assert not absent.installed


@pytest.mark.parametrize("kind", INSTALLED, ids=lambda kind: kind.name)
def test_every_peer_scores_what_is_far_out_higher_than_nearly_all_else(kind: Kind) -> None:
    values = normal_rows()
    values[400] = 12.0
    found = scores(kind, values)
    assert found[400] > np.quantile(found[350:], 0.95)


@pytest.mark.parametrize("kind", INSTALLED, ids=lambda kind: kind.name)
def test_no_peer_knows_what_comes_later(kind: Kind) -> None:
    values = normal_rows()
    other = values.copy()
    other[352:] += 50.0
    assert np.array_equal(scores(kind, values)[:352], scores(kind, other)[:352])


@pytest.mark.parametrize("kind", INSTALLED, ids=lambda kind: kind.name)
def test_each_stream_has_a_peer_of_its_own(kind: Kind) -> None:
    values, stream = normal_rows(), np.arange(600) % 2
    apart = scores(kind, values, stream)
    for number in (0, 1):
        assert np.array_equal(apart[stream == number], scores(kind, values[stream == number]))


def test_a_peer_is_given_the_last_value_for_one_that_is_missing_or_infinite() -> None:
    values = normal_rows()
    filled = values.copy()
    values[[0, 200, 201, 300], 1] = [np.nan, np.nan, np.inf, -np.inf]
    filled[0, 1], filled[[200, 201], 1], filled[300, 1] = 0.0, filled[199, 1], filled[299, 1]
    assert np.array_equal(scores(KINDS[0], values), scores(KINDS[0], filled))


def test_running_z_by_hand() -> None:
    peer = RunningZ(2)
    assert peer.score_learn(np.array([[1.0, 10.0], [3.0, 10.0]])).tolist() == [0.0, 0.0]
    # Means 2 and 10, deviations 1 and, for want of any, a millionth of the mean and one.
    found = peer.score_learn(np.array([[5.0, 10.0], [2.0, 10.000011]]))
    assert found == pytest.approx([3.0, 1.0])
    # Of 1, 3, 5 and 2: mean 2.75, variance 2.1875.
    assert peer.score_learn(np.array([[10.0, 10.0]])) == pytest.approx([7.25 / np.sqrt(2.1875)])


@pytest.mark.parametrize(("rows", "batch"), [(19_999, 32), (20_000, 256)])
def test_short_streams_are_learned_in_smaller_batches(rows: int, batch: int) -> None:
    values = np.zeros((rows, 1), np.float32)
    sizes = list[int]()
    peers.score(KINDS[0], run_of(np.zeros(rows), values=values), sizes.append)
    assert set(sizes[:-1]) == {batch}
    assert sum(sizes) == rows


def test_smoothing_halves_a_score_in_ten_rows_of_its_own_stream() -> None:
    run = run_of(np.zeros(24), stream=np.arange(24) % 2)
    raw = np.zeros(24)
    raw[0] = 8.0
    smooth = peers.smoothed(run, raw)
    assert smooth[[0, 20]] == pytest.approx([8.0, 4.0])
    assert smooth[1::2].tolist() == [0.0] * 12
