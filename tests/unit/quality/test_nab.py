"""Reckoned by hand from NAB's rules: sigmoid(x) = 2 / (1 + e^5x) - 1."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detector.quality.nab import PROFILES, Profile, Stream, corpus_score, row_gains, scores
from tests.support.labelled import run_of

STANDARD = PROFILES["standard"]


def sigmoid(x: float) -> float:
    return 2.0 / (1.0 + math.exp(5.0 * x)) - 1.0


def a_stream(detections: dict[int, float], *windows: tuple[int, int], length: int = 100) -> Stream:
    """Return a stream with a row a second; windows by their first and last row."""
    ranks = np.zeros(length)
    for row, rank in detections.items():
        ranks[row] = rank
    return Stream(ranks, np.arange(length, dtype=np.float64), tuple((float(a), float(b)) for a, b in windows))


def test_a_detection_in_a_window_earns_the_more_the_earlier_it_is() -> None:
    gains, inside = row_gains(np.arange(20.0), ((5.0, 8.0),), STANDARD)
    assert gains[5] == pytest.approx(1.0)
    assert gains[6] == pytest.approx(sigmoid(-0.75) / sigmoid(-1.0))
    assert gains[8] == pytest.approx(sigmoid(-0.25) / sigmoid(-1.0))
    assert inside.tolist() == [-1] * 5 + [0] * 4 + [-1] * 11


def test_a_detection_outside_costs_the_more_the_further_behind_a_window_it_is() -> None:
    gains, _ = row_gains(np.arange(20.0), ((5.0, 8.0),), STANDARD)
    assert gains[:5].tolist() == [-0.11] * 5
    assert gains[9] == pytest.approx(0.11 * sigmoid(1 / 3))
    assert gains[17] == pytest.approx(0.11 * sigmoid(3.0))
    assert gains[18] == pytest.approx(-0.11)


def test_behind_the_next_window_distance_is_counted_from_that_one() -> None:
    gains, inside = row_gains(np.arange(20.0), ((2.0, 5.0), (10.0, 11.0)), STANDARD)
    assert gains[7] == pytest.approx(0.11 * sigmoid(2 / 3))
    assert gains[10] == pytest.approx(1.0)
    assert gains[12] == pytest.approx(0.11 * sigmoid(1.0))
    assert inside[[2, 10, 12]].tolist() == [0, 1, -1]


def test_a_window_that_no_row_lies_in_changes_nothing() -> None:
    gains, inside = row_gains(np.arange(10.0), ((50.0, 60.0),), STANDARD)
    assert gains.tolist() == [-0.11] * 10
    assert inside.tolist() == [-1] * 10


def test_the_first_row_of_each_window_alone_is_perfect_and_silence_is_nothing() -> None:
    assert corpus_score([a_stream({40: 1, 60: 1}, (40, 49), (60, 69))], STANDARD) == pytest.approx(100.0)
    assert corpus_score([a_stream({10: 1}, (40, 49), (60, 69))], STANDARD) == pytest.approx(0.0)


def test_a_missed_window_costs_what_the_profile_says() -> None:
    half = [a_stream({40: 1}, (40, 49), (60, 69))]
    assert corpus_score(half, STANDARD) == pytest.approx(50.0)
    assert corpus_score(half, PROFILES["reward_low_FN_rate"]) == pytest.approx(50.0)
    late = [a_stream({45: 1}, (40, 49))]
    gain = sigmoid(-0.5) / sigmoid(-1.0)
    assert corpus_score(late, STANDARD) == pytest.approx(100.0 * (gain + 1.0) / 2.0)
    assert corpus_score(late, PROFILES["reward_low_FN_rate"]) == pytest.approx(100.0 * (gain + 2.0) / 3.0)


def test_false_alarms_cost_what_the_profile_says() -> None:
    stream = [a_stream({20: 1, 25: 1, 40: 1}, (40, 49))]
    assert corpus_score(stream, STANDARD) == pytest.approx(100.0 * (1.0 - 0.22 + 1.0) / 2.0)
    assert corpus_score(stream, PROFILES["reward_low_FP_rate"]) == pytest.approx(100.0 * (1.0 - 0.44 + 1.0) / 2.0)


def test_of_a_window_the_best_detection_counts_once() -> None:
    once, often = a_stream({42: 1}, (40, 49)), a_stream({42: 1, 43: 1, 47: 1}, (40, 49))
    assert corpus_score([often], STANDARD) == pytest.approx(corpus_score([once], STANDARD))


def test_the_threshold_is_the_best_one_and_the_same_for_all_streams() -> None:
    quiet, loud = a_stream({40: 1}, (40, 49)), a_stream({20: 2, 25: 2, 40: 3}, (40, 49))
    # At 3 one window of two is found; at 1 both are, for two false alarms.
    both = 100.0 * (2.0 - 0.22 + 2.0) / 4.0
    assert corpus_score([quiet, loud], STANDARD) == pytest.approx(both)
    assert corpus_score([quiet, loud], Profile(false_positive=2.0)) == pytest.approx(50.0)


def test_rows_of_one_rank_are_detected_together() -> None:
    stream = a_stream({20: 1, 40: 1}, (40, 49))
    assert corpus_score([stream], STANDARD) == pytest.approx(100.0 * (1.0 - 0.11 + 1.0) / 2.0)


@pytest.mark.parametrize(("length", "probation"), [(100, 15), (5000, 750), (9000, 750)])
def test_the_beginning_of_a_stream_is_left_out(length: int, probation: int) -> None:
    window = (length - 50, length - 41)
    kept = a_stream({probation: 2, window[0]: 1}, window, length=length)
    left_out = a_stream({probation - 1: 2, window[0]: 1}, window, length=length)
    assert corpus_score([left_out], STANDARD) == pytest.approx(100.0)
    assert corpus_score([kept], STANDARD) == pytest.approx(100.0 * (1.0 - 0.11 + 1.0) / 2.0)


def test_a_window_in_the_part_that_is_left_out_cannot_be_found() -> None:
    assert corpus_score([a_stream({5: 2, 40: 1}, (5, 9), (40, 49))], STANDARD) == pytest.approx(75.0)


def test_without_windows_there_is_no_score() -> None:
    assert math.isnan(corpus_score([a_stream({40: 1})], STANDARD))
    assert math.isnan(corpus_score([], STANDARD))


def test_a_run_is_scored_stream_by_stream_in_every_profile() -> None:
    ranks = np.concatenate([a_stream({40: 1}).ranks, a_stream({20: 1}).ranks])
    run = run_of(
        np.zeros(200),
        stream=np.repeat([0, 1], 100),
        times=np.tile(np.arange(100.0), 2),
        windows={"s0": ((40.0, 49.0),), "s1": ()},
    )
    assert scores(run, ranks) == pytest.approx(
        {"standard": 94.5, "reward_low_FP_rate": 89.0, "reward_low_FN_rate": 100.0 * (1.0 - 0.11 + 2.0) / 3.0}
    )


def test_what_lasts_is_reported_once_at_each_threshold() -> None:
    rises = a_stream({20: 1, 21: 2, 22: 3, 40: 4}, (40, 49))
    assert corpus_score([rises], STANDARD, lasting=10) == pytest.approx(100.0)
    lasts = a_stream({20: 3, 21: 3, 22: 3, 40: 3}, (40, 49))
    assert corpus_score([lasts], STANDARD) == pytest.approx(100.0 * (1.0 - 0.33 + 1.0) / 2.0)
    assert corpus_score([lasts], STANDARD, lasting=10) == pytest.approx(100.0 * (1.0 - 0.11 + 1.0) / 2.0)
    assert corpus_score([lasts], STANDARD, lasting=1) == pytest.approx(100.0 * (1.0 - 0.11 + 1.0) / 2.0)


def test_what_lasts_from_before_a_window_into_it_is_not_reported_within() -> None:
    lasts = a_stream(dict.fromkeys(range(35, 45), 3.0), (40, 49))
    assert corpus_score([lasts], STANDARD, lasting=20) == pytest.approx(0.0)
    rises = a_stream(dict.fromkeys(range(35, 40), 2.0) | {40: 3.0}, (40, 49))
    assert corpus_score([rises], STANDARD, lasting=20) == pytest.approx(100.0), "above 2 nothing is to be seen before"


@pytest.mark.parametrize(("late", "raw"), [(45, -0.11), (42, sigmoid(-0.8) / sigmoid(-1.0) - 1.0)])
def test_a_window_counts_only_what_is_reported_at_the_threshold(late: int, raw: float) -> None:
    stream = a_stream({30: 1, 40: 1, late: 2, 60: 1}, (40, 49), (60, 69))
    # At 2 the first window alone is found, late; at 1 the second alone, and there is a false alarm in whose wake the
    # first window begins.
    assert corpus_score([stream], STANDARD, lasting=12) == pytest.approx(100.0 * (raw + 2.0) / 4.0)
