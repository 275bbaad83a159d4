"""What an alert says of its row: which features are to blame, since when, and what filters leave out."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from detector.config.alerting import Alerting
from detector.config.events import Events
from detector.models.progress import Progress
from detector.types import Float64, Phase
from tests.support.models import DictStore, rows, small

FEATURES, LEARNED, BLAMED = 8, 1500, [1, 4, 6]
FILTERED: dict[str, Any] = {"direction": "rise", "min_deviation": 3.0}
EVENTLESS = small(
    features=FEATURES,
    keyed=False,
    mass=0.8,
    scale="within",
    alerting=Alerting(budget=None, false_alarm_rate=1e-2, reference=1000, warm_up=100),
)


def normal(n: int) -> Float64:
    """Return rows about two centres far apart, which take turns."""
    rng = np.random.default_rng(5)
    return 20.0 + rng.normal(size=(n, FEATURES)) + 12.0 * (np.arange(n) // 40 % 2)[:, None]


@cache
def learned(**filters: Any) -> tuple[DictStore, bytes, Any]:
    features = [{"name": f"f{d}", "filter": dict(filters)} for d in range(FEATURES)]
    detection = replace(EVENTLESS, events=Events.model_validate({"features": features}))
    store = DictStore()
    model = store.model(detection)
    model.advance(rows(normal(LEARNED)))
    return store, store.checkpoint(model), detection


def judged(shift: float, quiet: int = 8, **filters: Any) -> Progress:
    """Judge rows of the first centre, of which all but the first `quiet` are moved in three features."""
    store, header, detection = learned(**filters)
    values = normal(LEARNED + 40)[LEARNED + 20 :]
    values -= 12.0 * (values.mean(1) > 26.0)[:, None]
    values[quiet:, BLAMED] += shift
    return store.model(detection, header).advance(rows(values, start=LEARNED + 20))


@pytest.mark.parametrize("shift", [-12.0, 9.0, 12.0])
def test_the_features_that_were_moved_have_the_largest_shares(shift: float) -> None:
    progress = judged(shift)
    assert progress.top is not None
    assert sorted(np.argsort(progress.top.parts)[-3:].tolist()) == BLAMED
    np.testing.assert_allclose(progress.top.expected, 20.0, atol=2.5)


def test_since_is_the_first_row_of_those_that_stayed_high() -> None:
    (opened,) = [each for each in judged(12.0).transitions if each.phase is Phase.OPEN]
    assert opened.anomaly is not None
    assert opened.anomaly.since == LEARNED + 20 + 8
    last = judged(12.0, quiet=3).top
    assert last is not None
    assert last.since == LEARNED + 20 + 3


def test_what_a_filter_leaves_out_alerts_nobody_and_has_no_share() -> None:
    rise, drop = judged(12.0, **FILTERED), judged(-12.0, **FILTERED)
    assert len(rise.flagged) > 5
    assert len(judged(-12.0).flagged) > 5
    assert len(drop.flagged) == 0
    assert rise.top is not None
    assert set(np.flatnonzero(rise.top.parts).tolist()) <= set(BLAMED)
