"""The share of flagged rows is the one that was asked for: a small part of `tests/bench/calibration.py`."""

from __future__ import annotations

import numpy as np
import pytest

from detector.models.calibration import _OFFSET, begun, bounded, exceeded, followed, scaled
from tests.bench.calibration import DISTRIBUTIONS, Case, observe, summary


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize(("rate", "rows"), [("1e-2", 25_000), ("1e-3", 80_000)])
def test_on_data_without_faults_as_many_rows_are_flagged_as_were_asked_for(
    distribution: str, rate: str, rows: int
) -> None:
    seen = summary([observe(Case("one", distribution, rate, "events", seed, rows)) for seed in (21,)])
    assert seen["expected"] > 30, "too few for the ratio to mean anything"
    # Several attained values may share a bin of the reference: what is flagged is then less than could be.
    least, most = (0.25, 2.0) if distribution == "discrete" else (0.5, 2.0)
    assert least < seen["ratio"] < most


@pytest.mark.parametrize("known", [2, 5, 100])
def test_slots_that_know_few_excesses_are_on_the_same_scale_as_those_that_know_many(known: int) -> None:
    random = np.random.default_rng(known)
    means = random.exponential(size=(400_000, known)).mean(1)
    sketches = np.stack([np.full_like(means, 3.0), means, np.full_like(means, (known - 2.0) / 0.0375)], 1)
    excesses = (
        scaled(3.0 + random.exponential(size=len(means)), sketches).values - scaled(sketches[:, 0], sketches).values
    )
    for rate in (0.1, 0.01, 0.001):
        assert (excesses > -np.log(rate)).mean() == pytest.approx(rate, rel=0.2)


def test_slots_are_on_the_same_scale_at_every_age() -> None:
    random, slots = np.random.default_rng(5), 4000
    sketches, group = begun(random.exponential(size=(slots, 128))), np.arange(slots)
    for age in range(1, 601):
        sketches = followed(sketches, random.exponential(size=slots), group)
        if age in {100, 200, 400, 600}:
            for beyond in (0.0, 2.0, 4.0):
                share = np.exp(-exceeded(_OFFSET + beyond, sketches)).mean()
                assert share == pytest.approx(0.05 * np.exp(-beyond), rel=0.08), (age, beyond)


def test_a_score_is_found_again_from_its_place_on_the_common_scale() -> None:
    sketches = np.array([[2.0, 0.5, 32.0], [2.0, 0.5, 32.0], [0.0, 0.05, 20_000.0]])
    scores = np.array([1.5, 4.0, 0.5])
    at = scaled(scores, sketches).values
    assert [float(exceeded(place, sketches[i : i + 1])[0]) for i, place in enumerate(at)] == pytest.approx(scores)
    assert np.isinf(exceeded(1e4, sketches[:1])).all(), "of a slot that knows so little, nothing is so far out"


def test_a_slot_whose_scores_were_all_nil_makes_much_of_no_small_one() -> None:
    sketch = begun(np.zeros((1, 128)))
    assert scaled(np.array([0.1]), sketch).values < 8.0
    for _ in range(50):
        far = bounded(np.full(1, 10.0), sketch, np.ones(1, np.bool_))
        sketch = followed(sketch, far, np.zeros(1, np.int64))
    assert scaled(np.array([10.0]), sketch).values < 15.0, "where all rows are far out, the sketch is wrong"


def test_a_few_rows_far_out_move_a_settled_sketch_hardly() -> None:
    sketch = np.array([[2.0, 0.5, 20_000.0]])
    after = sketch
    for _ in range(20):
        far = bounded(np.full(1, 500.0), after, np.ones(1, np.bool_))
        after = followed(after, far, np.zeros(1, np.int64))
    assert after[0, :2] == pytest.approx(sketch[0, :2], rel=0.1)
