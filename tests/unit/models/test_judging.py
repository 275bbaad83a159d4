"""Judging: how a slot's own scale comes about beside those of the other slots of its partition."""

from __future__ import annotations

import numpy as np

from detector.types import Float64, Rows
from tests.bench.calibration import FEATURES, Case, model_of

HOSTS, EACH = 20, 500
RATE = 1e-2


def flagged_of(counting: Float64) -> float:
    """Return the share of rows flagged of a host whose features are counts [EACH, D], among hosts of normal rows."""
    model = model_of(Case("entities", "gaussian", str(RATE), "events", 1, HOSTS * EACH))
    values: Float64 = np.random.default_rng(1).normal(size=(EACH * HOSTS, FEATURES))
    values[::HOSTS] = counting
    numbers = np.arange(HOSTS * EACH)
    names = [f"host-{number % HOSTS}" for number in numbers]
    rows = Rows(numbers, np.zeros(len(numbers), np.int32), 1.8e9 + numbers / 1.0, values, names)
    flagged = model.advance(rows).flagged
    late = flagged[(flagged % HOSTS == 0) & (flagged >= HOSTS * 200)]
    return len(late) / (EACH - 200)


def test_a_slot_that_has_seen_one_value_when_it_is_seeded_learns_that_there_are_others() -> None:
    counts = np.random.default_rng(2).poisson(0.002, (EACH, FEATURES)).astype(np.float64)
    counts[:150] = 0.0
    assert 0.0 < (counts[150:] > 0).any(1).mean() < RATE
    assert flagged_of(counts) < 3 * RATE
