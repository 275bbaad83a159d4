from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.errors import LabelledSetError
from detector.quality.folder import labelled_sets
from detector.quality.labelled import LabelledSet, Run
from tests.support.labelled import write_set

N = 40
X = np.arange(2.0 * N).reshape(N, 2).astype(np.float32)
Y = (np.arange(N) % 4 == 3).astype(np.uint8)


def the_set(folder: Path, rule: dict[str, Any] | None = None, **arrays: Any) -> LabelledSet:
    write_set(folder, "a", rule, **({"X": X, "y": Y} | arrays))
    (found,) = labelled_sets(folder)
    return found


def the_run(folder: Path, rule: dict[str, Any] | None = None, **arrays: Any) -> Run:
    (run,) = the_set(folder, rule, **arrays).runs()
    return run


def numbers(run: Run) -> list[int]:
    """Return the rows' numbers in the file."""
    return [int(value) // 2 for value in run.values[:, 0]]


def test_a_set_is_read_as_it_stands_in_its_file(tmp_path: Path) -> None:
    run = the_run(tmp_path)
    assert run.values.dtype == np.float32
    assert np.array_equal(run.values, X)
    assert run.labels.tolist() == [bool(y) for y in Y]
    assert (run.streams, run.keyed, run.timed) == (["a"], False, False)


def test_a_window_is_of_the_files_order_and_a_limit_of_what_is_left(tmp_path: Path) -> None:
    assert numbers(the_run(tmp_path, {"window": [10, 20]})) == list(range(10, 20))
    assert numbers(the_run(tmp_path, {"window": [10, 20], "limit": 3})) == [10, 11, 12]


def test_a_limit_does_not_cut_a_set_of_streams(tmp_path: Path) -> None:
    streams = {"entity": np.arange(N) % 2, "entities": ["x", "y"]}
    run = the_run(tmp_path, {"limit": 3}, **streams)
    assert (len(run), run.keyed, run.streams) == (N, True, ["x", "y"])
    assert run.rows(1).tolist() == list(range(1, N, 2))


def test_thinning_drops_anomalies_down_to_the_share_and_keeps_the_order(tmp_path: Path) -> None:
    run = the_run(tmp_path, {"thin": 0.1})
    assert int(run.labels.sum()) == 3  # 3 of 33 are as near to a tenth as can be
    assert int((~run.labels).sum()) == 30
    assert numbers(run) == sorted(numbers(run))


def test_thinning_adds_nothing_where_anomalies_are_rare_already(tmp_path: Path) -> None:
    assert len(the_run(tmp_path, {"thin": 0.5})) == N


def test_each_seed_is_a_run_of_its_own_order(tmp_path: Path) -> None:
    runs = [numbers(run) for run in the_set(tmp_path, {"shuffle": [0, 1]}).runs()]
    assert [sorted(run) for run in runs] == [list(range(N))] * 2
    assert runs[0] == np.random.default_rng(0).permutation(N).tolist()
    assert runs[1] == np.random.default_rng(1).permutation(N).tolist()


def test_thinning_and_shuffling_draw_from_one_generator_and_the_limit_comes_last(tmp_path: Path) -> None:
    rule = {"shuffle": [7], "thin": 0.1, "window": [0, 36], "limit": 20}
    random = np.random.default_rng(7)
    anomalous, normal = np.arange(3, 36, 4), np.array([n for n in range(36) if n % 4 != 3])
    kept = np.sort(np.concatenate([normal, random.choice(anomalous, 3, replace=False)]))
    assert numbers(the_run(tmp_path, rule)) == random.permutation(kept)[:20].tolist()


def test_categories_stand_one_hot_beside_the_features(tmp_path: Path) -> None:
    categories = np.stack([np.arange(N) % 3, np.arange(N) % 2], 1)
    run = the_run(tmp_path, cat=categories, cat_size=[3, 2])
    assert run.values.shape == (N, 7)
    assert run.values[4].tolist() == [8.0, 9.0, 0.0, 1.0, 0.0, 1.0, 0.0]


def test_times_are_those_of_the_file_unless_it_is_shuffled(tmp_path: Path) -> None:
    times = 1000 + 10 * np.arange(N)
    assert the_run(tmp_path, {"window": [5, 8]}, t=times).times.tolist() == [1050.0, 1060.0, 1070.0]
    shuffled = the_run(tmp_path, {"shuffle": [0]}, t=times)
    assert not shuffled.timed
    assert np.diff(shuffled.times).tolist() == [1.0] * (N - 1)


@pytest.mark.parametrize(("rule", "apart"), [({}, 1.0), ({"interval": 7}, 7.0), ({"preset": "metrics"}, 60.0)])
def test_without_timestamps_rows_are_an_interval_apart(tmp_path: Path, rule: dict[str, Any], apart: float) -> None:
    assert np.diff(the_run(tmp_path, rule).times).tolist() == [apart] * (N - 1)


def test_without_timestamps_the_streams_of_metrics_run_beside_each_other(tmp_path: Path) -> None:
    stream = np.array([1] * 10 + [0] * 30)
    run = the_run(tmp_path, {"preset": "metrics"}, entity=stream, entities=["x", "y"])
    assert np.diff(run.times[run.rows(0)]).tolist() == [60.0] * 29
    assert np.diff(run.times[run.rows(1)]).tolist() == [60.0] * 9
    assert run.times[0] == run.times[10]
    events = the_run(tmp_path, {"preset": "events"}, entity=stream, entities=["x", "y"])
    assert np.diff(events.times).tolist() == [1.0] * (N - 1)


def test_nabs_windows_are_moments_in_utc(tmp_path: Path) -> None:
    meta = json.dumps({"windows": {"x": [["1970-01-01 00:01:00.000000", "1970-01-01 01:00:00"]], "y": []}})
    streams: dict[str, Any] = {"entity": np.arange(N) % 2, "entities": ["x", "y"], "meta": meta}
    assert the_run(tmp_path, t=np.arange(N), **streams).windows == {"x": ((60.0, 3600.0),), "y": ()}
    assert the_run(tmp_path, **streams).windows == {}  # without timestamps they say nothing


@pytest.mark.parametrize(
    "arrays",
    [
        {"X": X},
        {"y": Y},
        {"X": X[:, :0], "y": Y},
        {"X": X[:, 0], "y": Y},
        {"X": X[:5], "y": Y},
        {"X": X, "y": Y[:5]},
        {"X": X, "y": Y, "t": [1]},
    ],
)
def test_a_file_that_is_no_labelled_set_is_told_of(tmp_path: Path, arrays: dict[str, Any]) -> None:
    write_set(tmp_path, "a", {}, **arrays)
    (found,) = labelled_sets(tmp_path)
    with pytest.raises(LabelledSetError, match=r"a\.npz: not a labelled set"):
        list(found.runs())


def test_a_file_that_is_no_archive_is_told_of(tmp_path: Path) -> None:
    found = the_set(tmp_path, {})
    found.path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(LabelledSetError, match=r"a\.npz: not a labelled set"):
        list(found.runs())
