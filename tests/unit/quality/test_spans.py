from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.quality.labelled import Run
from detector.quality.spans import Found, found
from tests.support.labelled import run_of

WEEK = 7 * 86400.0


def series(weeks: float, length: int = 100, spans: tuple[tuple[int, int], ...] = ((40, 50), (70, 80))) -> Run:
    """Return a run of one stream whose judged rows last so many weeks."""
    labels = np.zeros(length, np.bool_)
    for first, behind in spans:
        labels[first:behind] = True
    apart = weeks * WEEK / (length - length // 10)
    return run_of(labels, times=apart * np.arange(length))


def ranks(**levels: float) -> NDArray[np.float64]:
    """Return ranks that are 0 but for rows named as `r45=3`."""
    result = np.zeros(100)
    for row, level in levels.items():
        result[int(row[1:])] = level
    return result


def test_with_no_false_alert_to_spend_a_span_must_stand_above_all_that_is_normal() -> None:
    run = series(0.5)
    assert found(run, ranks(r45=3, r20=2, r75=1)) == Found(2, 1, run.times[45] - run.times[40])
    assert found(run, ranks(r45=1, r20=2, r75=1)) == Found(2, 0, None)


def test_each_week_has_one_false_alert_to_spend() -> None:
    levels = ranks(r20=5, r45=4, r30=3, r75=2, r35=1)
    assert found(series(0.99), levels).found == 0
    assert found(series(1.0), levels).found == 1
    assert found(series(2.0), levels).found == 2


def test_a_false_alert_that_lasts_is_one_and_one_that_returns_is_two() -> None:
    lasting = ranks(r20=5, r21=5, r22=6, r23=5, r45=4)
    assert found(series(1.0), lasting).found == 1
    returning = ranks(r20=5, r22=5, r45=4)
    assert found(series(1.0), returning).found == 0


def test_an_alert_that_began_in_a_span_is_not_false_when_it_outlasts_it() -> None:
    run = series(0.5)
    assert found(run, ranks(r48=2, r49=2, r50=2, r51=2, r75=1)).found == 2


def test_an_alert_that_began_before_a_span_does_not_find_it() -> None:
    assert found(series(1.0), ranks(r39=2, r40=2)).found == 0
    assert found(series(1.0), ranks(r39=2, r40=2, r42=3)).found == 1
    assert found(series(1.0), ranks(r39=2, r40=2, r41=1, r42=2)).found == 1


def test_one_alert_that_never_ends_finds_nothing() -> None:
    constant = series(1.0)
    assert found(constant, np.zeros(100)) == Found(2, 0, None)
    assert found(constant, ranks(r45=1, r75=1)).found == 2


def test_of_the_thresholds_that_find_as_much_the_lowest_is_the_soonest() -> None:
    run = series(2.0)
    assert found(run, ranks(r20=1, r40=3, r41=0, r42=4)).median_delay == 0.0
    assert found(run, ranks(r20=5, r60=5, r64=5, r42=4, r45=6)).median_delay == run.times[45] - run.times[40]


def test_it_finds_as_much_as_trying_every_threshold_does() -> None:
    random = np.random.default_rng(5)
    length = 300
    labels = np.repeat(random.random(length // 10) < 0.2, 10)
    for budget in range(4):
        run = run_of(labels, times=np.arange(length) * budget * WEEK / 270)
        levels = random.integers(0, 12, length) + 3.0 * labels * (random.random(length) < 0.2)
        assert found(run, levels).found == best_by_trying(labels, levels, budget)


def best_by_trying(labels: NDArray[np.bool_], levels: NDArray[np.float64], budget: int) -> int:
    best = 0
    for threshold in set(levels):
        false_alerts, hit, over, span = 0, set(), levels[29] >= threshold, 0
        for n, (anomalous, level) in enumerate(zip(labels[30:], levels[30:], strict=True)):
            span += bool(anomalous and (n == 0 or not labels[29 + n]))
            if level >= threshold and not over:
                if anomalous:
                    hit.add(span)
                else:
                    false_alerts += 1
            over = level >= threshold
        if false_alerts <= budget:
            best = max(best, len(hit))
    return best


def test_the_delay_is_the_median_over_what_is_found() -> None:
    run = run_of(np.arange(100) % 10 >= 7, times=1000.0 * np.arange(100))
    levels = np.zeros(100)
    levels[[17, 28, 39, 48]] = 1.0
    assert found(run, levels) == Found(9, 4, 1000.0)


def test_the_budget_is_the_set_s_and_the_threshold_one_for_all_its_streams() -> None:
    labels = np.zeros(200, np.bool_)
    labels[[40, 140]] = True
    run = run_of(labels, stream=np.repeat([0, 1], 100), times=np.tile(np.arange(100) * WEEK / 90, 2))
    noisy = np.zeros(200)
    noisy[[20, 60, 140]] = [3.0, 3.0, 2.0]
    assert found(run, noisy).found == 1  # two weeks in all, both spent on the first stream
    noisy[160] = 3.0
    assert found(run, noisy).found == 0


def test_only_what_is_judged_counts() -> None:
    run = series(0.5, spans=((0, 5), (8, 12), (40, 50)))
    assert found(run, ranks(r2=9, r6=9, r11=2)) == Found(2, 1, run.times[11] - run.times[10])
