"""Judging: how a slot's own scale comes about beside those of the other slots of its partition."""

from __future__ import annotations

import numpy as np
import pytest

from detector.config.detection import Detection
from detector.config.sections import Config
from detector.types import Float64, Phase, Rows
from tests.bench.calibration import FEATURES, Case, model_of
from tests.support.models import DictStore, rows

HOSTS, EACH = 20, 500
RATE = 1e-2


def flagged_of(counting: Float64) -> float:
    """Return the share of rows flagged of a host whose features are counts [EACH, D], among hosts of normal rows."""
    model = model_of(Case("entities", "gaussian", str(RATE), "events", 1, HOSTS * EACH))
    values: Float64 = np.random.default_rng(1).normal(size=(EACH * HOSTS, FEATURES))
    values[::HOSTS] = counting
    numbers = np.arange(HOSTS * EACH)
    names = [f"host-{number % HOSTS}" for number in numbers]
    given = Rows(numbers, np.zeros(len(numbers), np.int32), 1.8e9 + numbers / 1.0, values, names)
    flagged = model.advance(given).flagged
    late = flagged[(flagged % HOSTS == 0) & (flagged >= HOSTS * 200)]
    return len(late) / (EACH - 200)


def test_a_slot_that_has_seen_one_value_when_it_is_seeded_learns_that_there_are_others() -> None:
    counts = np.random.default_rng(2).poisson(0.002, (EACH, FEATURES)).astype(np.float64)
    counts[:150] = 0.0
    assert 0.0 < (counts[150:] > 0).any(1).mean() < RATE
    assert flagged_of(counts) < 3 * RATE


def test_by_default_a_spike_of_the_one_feature_is_told_of() -> None:
    config = {"source": {"kind": "computer"}, "events": {"features": ["a"]}}
    model = DictStore().model(Detection.of(Config.model_validate(config)))
    values = np.random.default_rng(0).normal(size=(6001, 1))
    values[-1] = 7.0
    told = model.advance(rows(values)).transitions
    assert [(t.phase, t.position.offset) for t in told] == [(Phase.OPEN, 6000)]


@pytest.mark.parametrize("preset", ["events", "metrics"])
@pytest.mark.parametrize("features", [1, 6])
def test_spikes_that_come_again_and_again_from_the_outset_are_told_of(preset: str, features: int) -> None:
    config = {"source": {"kind": "computer"}, "preset": preset, "events": {"features": [*"abcdef"[:features]]}}
    model = DictStore().model(Detection.of(Config.model_validate({**config, "alerting": {"false_alarm_rate": 1e-3}})))
    values = np.random.default_rng(3).normal(50.0, 1.0, (8000, features))
    spikes = np.arange(199, 8000, 400)
    values[spikes, spikes % features] += 20.0
    told = model.advance(rows(values))
    assert {*spikes[spikes > 2700]} <= {*told.flagged}, "one row in 400 is as far out as these, and no usual one"
    opened = sum(happened.phase is Phase.OPEN for happened in told.transitions)
    assert opened <= len(spikes) + 4, "and hardly anything else is told of"


def test_spikes_that_begin_late_and_come_again_and_again_do_not_become_usual() -> None:
    config = {"source": {"kind": "computer"}, "preset": "metrics", "events": {"features": [*"abcdef"]}}
    model = DictStore().model(Detection.of(Config.model_validate({**config, "alerting": {"false_alarm_rate": 1e-4}})))
    values = np.random.default_rng(4).normal(50.0, 1.0, (12_000, 6))
    spikes = np.arange(5000, 12_000, 200)
    values[spikes, spikes % 6] += 20.0
    times = np.linspace(1.8e9, 1.8e9 + 0.05 * len(values), len(values))
    told = np.isin(spikes, model.advance(rows(values, times)).flagged)
    assert told.sum() >= len(spikes) - 2
    assert told[-10:].all()
