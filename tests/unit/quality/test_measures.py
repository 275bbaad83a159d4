from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from detector.quality.measures import Quality, judged, mean, quality
from tests.support.labelled import run_of


def test_the_measures_of_a_stream_by_hand() -> None:
    labels = [0] * 2 + [0, 1, 0, 1] + [0] * 14  # the first two of 20 rows are burn-in
    ranks = np.zeros(20)
    ranks[2:6] = [3.0, 4.0, 2.0, 1.0]
    found = quality(run_of(labels), ranks)
    # Of 2 x 16 pairs the first anomaly wins all, the second loses to two.
    assert found.roc == pytest.approx(30 / 32)
    # Precision is 1 of 1 at the first anomaly, and 2 of 4 at the second.
    assert found.ap == pytest.approx(0.5 * 1 + 0.5 * 2 / 4)


def test_equal_ranks_count_one_half_and_are_taken_together() -> None:
    assert quality(run_of([0] * 5 + [1, 0, 0, 1, 0]), np.zeros(10)) == pytest.approx((0.5, 2 / 9))


@pytest.mark.parametrize(("rows", "first"), [(9, 0), (10, 1), (19, 1), (768, 76)])
def test_a_tenth_of_a_stream_is_not_judged(rows: int, first: int) -> None:
    assert judged(rows) == slice(first, rows)


def test_what_happens_in_the_burn_in_changes_nothing() -> None:
    labels, ranks = np.tile([0, 0, 1, 0], 10), np.random.default_rng(0).normal(size=40)
    other_labels, other_ranks = labels.copy(), ranks.copy()
    other_labels[:4], other_ranks[:4] = 1, 99.0
    assert quality(run_of(labels), ranks) == quality(run_of(other_labels), other_ranks)


def test_streams_are_judged_each_by_itself_and_averaged() -> None:
    random = np.random.default_rng(1)
    labels, ranks = random.random(400) < 0.2, random.normal(size=400)
    stream = np.where(np.arange(400) < 100, 0, 1)
    parts = [slice(10, 100), slice(130, 400)]
    found = quality(run_of(labels, stream=stream), ranks)
    assert found.roc == pytest.approx(np.mean([roc_auc_score(labels[part], ranks[part]) for part in parts]))
    assert found.ap == pytest.approx(np.mean([average_precision_score(labels[part], ranks[part]) for part in parts]))


def test_a_stream_that_decides_nothing_is_left_out_of_the_mean() -> None:
    labels = np.tile([0, 1], 20)
    without = run_of(np.concatenate([labels, np.zeros(40)]), stream=np.repeat([0, 1], 40))
    assert quality(without, np.tile([0.0, 1.0], 40)) == Quality(1.0, 1.0)
    # Where all is anomalous there is a precision, and nothing to tell it from.
    full = run_of(np.concatenate([labels, np.ones(40)]), stream=np.repeat([0, 1], 40))
    assert quality(full, np.zeros(80)) == pytest.approx((0.5, (0.5 + 1.0) / 2))


def test_nothing_at_all_is_no_number() -> None:
    assert all(math.isnan(measure) for measure in quality(run_of([0] * 20), np.zeros(20)))
    assert all(math.isnan(measure) for measure in mean([]))
