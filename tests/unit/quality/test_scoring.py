from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from detector.app import Models
from detector.config.detection import Detection
from detector.quality.labelled import Run
from detector.quality.presets import Preset
from detector.quality.scoring import Scored, configuration, score
from detector.quality.source import log_order
from detector.types import Partition, Rows
from tests.support.labelled import run_of


def rows_of(run: Run, preset: Preset) -> Rows:
    order = log_order(run, preset)
    entities = [str(stream) for stream in run.stream[order]] if run.keyed else None
    values = run.values[order].astype(np.float64)
    return Rows(np.arange(len(run)), np.zeros(len(run), np.int32), run.times[order], values, entities)


@pytest.mark.parametrize("preset", ["events", "metrics"])
def test_the_scores_are_the_model_s_row_by_row(preset: Preset, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    n = 6000
    values = random.normal(size=(n, 4)).astype(np.float32)
    values[random.random((n, 4)) < 0.05] = np.nan
    values[np.arange(4000, n, 50)] += 9.0
    stream = np.repeat([0, 1], n // 2) if preset == "metrics" else None
    times = 1e9 + 5.0 * np.tile(np.arange(n // 2), 2) if preset == "metrics" else 1e9 + np.arange(n)
    run = run_of(np.zeros(n), values=values, stream=stream, times=times)
    done = list[int]()

    scored = score("a", preset, {}, run, done.append)

    detection = Detection.of(configuration(preset, {}, run, tmp_path))
    progress = Models()(Partition("a", 0), detection, lambda _: {}).advance(rows_of(run, preset))
    order = log_order(run, preset)
    assert np.array_equal(scored.score[order], progress.score, equal_nan=True)
    assert np.array_equal(scored.distance[order], progress.smoothed, equal_nan=True)
    assert int(np.isnan(scored.score).sum()) < n // 10
    assert sum(done) == n
    assert scored.seconds > 0


def test_a_row_that_is_rejected_is_not_scored_and_moves_no_other() -> None:
    values = np.random.default_rng(1).normal(size=(2500, 2)).astype(np.float32)
    values[[1000, 2000]] = np.inf
    values[[1500, 2200], :] = 40.0
    scored = score("a", "events", {}, run_of(np.zeros(2500), values=values), lambda _: None)
    assert np.isnan(scored.score[[1000, 2000]]).all()
    assert not np.isnan(scored.score[300:1000]).any()
    assert set(np.argsort(scored.ranks())[-2:]) == {1500, 2200}


def test_ranks_by_score_follow_the_score_as_it_is_told_then_the_distance() -> None:
    score_ = np.array([2.0, 6.001, 6.004, 3.0, np.nan, 2.0, 6.003])
    distance = np.array([5.0, 9.0, 8.0, 1.0, np.nan, 5.0, 12.0])
    ranks = Scored(score_, distance, 1.0).ranks_by_score()
    assert np.argsort(ranks, kind="stable").tolist() == [4, 0, 5, 3, 2, 1, 6]
    assert ranks[0] == ranks[5]
    assert ranks[4] < ranks[0]


def test_ranks_are_finite_and_put_what_was_not_scored_first() -> None:
    distance = np.array([0.0, 3.0, np.nan, 1.0])
    ranks = Scored(np.zeros(4), distance, 1.0).ranks()
    assert np.isfinite(ranks).all()
    assert np.argsort(ranks).tolist() == [2, 0, 3, 1]


def test_all_streams_are_ordered_by_their_score() -> None:
    score_ = np.array([np.nan, 0.1, 2.3])
    assert Scored(score_, 5.0 - score_, 1.0).on_one_scale().tolist() == [-np.inf, 0.1, 2.3]
