from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.quality.evaluation import DETECTOR, SCORE, Evaluation, evaluate, group_quality
from detector.quality.folder import labelled_sets
from detector.quality.labelled import LabelledSet
from detector.quality.peers import KINDS
from tests.support.labelled import write_set

BESIDE = [kind for kind in KINDS if kind.name == "running z"]
N = 1200
LABELS = np.isin(np.arange(N), [700, 701, 702, 1000])


class Phases:
    """Remembers what was told of the progress: by phase, its rows and those done."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, list[int]]] = []

    def __call__(self, name: str, rows: int) -> Callable[[int], None]:
        self.told.append((name, rows, []))
        return self.told[-1][2].append


def values() -> np.ndarray[Any, np.dtype[np.float64]]:
    rows = np.random.default_rng(0).normal(size=(N, 3))
    rows[LABELS] += 25.0
    return rows


def a_set(folder: Path, rule: dict[str, Any], **arrays: Any) -> LabelledSet:
    write_set(folder, "a", rule, **({"X": values(), "y": LABELS} | arrays))
    (found,) = labelled_sets(folder)
    return found


def evaluated(labelled: LabelledSet, phases: Phases | None = None) -> Evaluation:
    evaluation = evaluate(labelled, BESIDE, phases or Phases())
    assert evaluation is not None
    return evaluation


def test_a_series_is_judged_with_its_peers_raw_and_smoothed_and_with_what_an_operator_finds(tmp_path: Path) -> None:
    phases = Phases()
    times = 1e9 + 10.0 * np.arange(N)
    series = evaluated(a_set(tmp_path, {"preset": "metrics", "group": "g"}, t=times), phases)
    assert (series.name, series.group, series.preset) == ("a", "g", "metrics")
    assert list(series.judgements) == [DETECTOR, SCORE, "running z", "running z + EMA"]
    assert series.judgements[DETECTOR].quality.roc > 0.99
    assert series.judgements["running z"].quality == pytest.approx((1.0, 1.0))
    assert series.found is not None
    assert series.found.spans == 2
    assert series.events_per_second > 0
    assert [(name, rows, sum(done)) for name, rows, done in phases.told] == [
        ("a: detector", N, N),
        ("a: running z", N, N),
    ]


def test_shuffled_events_are_judged_by_the_mean_of_their_runs(tmp_path: Path) -> None:
    noisy = {"X": np.random.default_rng(1).normal(size=(N, 3)) + 1.5 * LABELS[:, None]}
    both = evaluated(a_set(tmp_path, {"shuffle": [0, 1]}, **noisy))
    each = [evaluated(a_set(tmp_path, {"shuffle": [seed]}, **noisy)) for seed in (0, 1)]
    assert list(both.judgements) == [DETECTOR, SCORE, "running z"]
    assert both.found is None
    for detector, judgement in both.judgements.items():
        assert judgement.quality == pytest.approx(group_quality(each, detector))
    assert each[0].judgements["running z"].quality != each[1].judgements["running z"].quality


def test_a_set_with_nabs_windows_is_scored_as_nab_does(tmp_path: Path) -> None:
    meta = '{"windows": {"a": [["2001-09-09 03:43:20", "2001-09-09 03:45:00"]]}}'  # rows 700 to 710
    streams = {"entity": np.zeros(N, np.int64), "entities": ["a"], "t": 10**9 + 10 * np.arange(N), "meta": meta}
    scored = evaluated(a_set(tmp_path, {"preset": "metrics"}, **streams))
    for judgement in scored.judgements.values():
        assert set(judgement.nab) == {"standard", "reward_low_FP_rate", "reward_low_FN_rate"}
    assert scored.judgements["running z"].nab["standard"] == pytest.approx(100.0)  # the window's first row leads


@pytest.mark.parametrize("labels", [np.zeros(N), np.ones(N)])
def test_a_set_without_anything_to_tell_apart_is_not_run(tmp_path: Path, labels: Any) -> None:
    phases = Phases()
    assert evaluate(a_set(tmp_path, {}, y=labels), BESIDE, phases) is None
    assert phases.told == []


def test_rows_that_the_daemon_rejects_are_judged_as_the_least_anomalous(tmp_path: Path) -> None:
    rejected = values()
    rejected[[1000, 1100]] = np.inf
    judgements = evaluated(a_set(tmp_path, {}, X=rejected)).judgements
    for detector in (DETECTOR, SCORE):
        assert 0.5 < judgements[detector].quality.roc < 0.8  # one of four anomalies is behind all that is normal
