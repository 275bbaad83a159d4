from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from detector.candidates import propose
from detector.config.filters import Filter
from detector.models.decision import Reason
from detector.models.partition import PartitionModel
from detector.models.shadow import Shadow
from detector.models.shape import rules_of
from detector.models.versions import Version
from detector.models.window import WindowLimits
from detector.refit.fitting import fit
from detector.refit.values import Parameters
from detector.refit.values import Window as Task
from detector.types import Bool, ControlKind, ControlRecord, Float64
from tests.support.models import PARTITION, programs, rows, small

CENTRES = np.array([[0.0, 0.0, 0.0, 0.0], [9.0, 0.0, 3.0, -5.0], [0.0, 9.0, -3.0, 5.0]])
BURST = np.array([25.0, -20.0, 22.0, 18.0])


class Fed(NamedTuple):
    values: Float64
    burst: Bool
    flagged: Bool


class Stream:
    """A partition's model with a window, and the rows that come: three clusters, with bursts of one kind of anomaly."""

    def __init__(self, preset: str, filters: Filter | None = None) -> None:
        smooth: dict[str, Any] = {"smoothing": [3.0, 30.0], "gate": 1.5} if preset == "metrics" else {}
        detection = small(
            features=4,
            centroids=8,
            rows=64,
            keyed=False,
            seed_rows=256,
            tick=1e9,
            members=2,
            mass=0.95,
            scale="within",
            **smooth,
        )
        if filters is not None:
            features = [each.model_copy(update={"filter": filters}) for each in detection.events.features]
            detection = replace(detection, events=detection.events.model_copy(update={"features": features}))
        limits = WindowLimits(2000, 1 << 20, 1e6, 10)
        self.model = PartitionModel(PARTITION, detection, programs=programs, load=lambda _: {}, window=limits)
        self.rng = np.random.default_rng(0)
        self.at = 0

    def feed(self, count: int, burst: float = 0.0) -> Fed:
        values = CENTRES[self.rng.choice(3, count, p=[0.5, 0.3, 0.2])] + self.rng.normal(0, 1, (count, 4))
        is_burst = self.rng.random(count) < burst
        values[is_burst] = BURST + self.rng.normal(0, 0.5, (int(is_burst.sum()), 4))
        progress = self.model.advance(rows(values, start=self.at))
        self.at += count
        flagged = np.zeros(count, np.bool_)
        flagged[progress.flagged] = True
        return Fed(values, is_burst, flagged)

    def candidate(self, values: Float64, *, lasting: bool = False) -> Version:
        """Cluster rows; `lasting` ones lie in the window over days, so that all centroids define normal."""
        bank, shape = self.model.bank, self.model.shape
        task = Task(
            values.astype(np.float32),
            np.ones(len(values)),
            bank.means[0],
            bank.variances[0],
            shape.centroids,
            shape.members,
            rules_of(self.model.detection).within,
        )
        proposed = propose(self.model, [""], [fit(task, Parameters("kmeans", k=4))])
        if not lasting:
            return proposed
        wins, day = np.full_like(proposed.wins, 1e6), np.full_like(proposed.first_wins, 86400.0)
        return replace(proposed, wins=wins, first_wins=0.0 * day, last_wins=2.0 * day)

    def shadow(self, candidate: Version, blocks: int = 30, burst: float = 0.0) -> Shadow:
        shadow = self.model.beside.begin_shadow(candidate, self.model.budget.rate, blocks)
        while not shadow.complete:
            self.feed(64, burst)
        return shadow


PRESETS = pytest.mark.parametrize("preset", ["events", "metrics"])


@PRESETS
def test_rows_that_are_flagged_are_kept_apart_from_the_window(preset: str) -> None:
    stream = Stream(preset)
    stream.feed(8000)
    before = stream.model.beside.window
    assert before is not None
    fed = stream.feed(4000, burst=0.03)
    window = before.normal(1)[""]
    new = window.rows[window.times > 8000]
    assert fed.flagged.sum() > 30
    assert (np.abs(new - BURST).max(1) < 5.0).mean() < 0.2 * fed.burst.mean()
    apart = before.apart()[""].rows
    assert (np.abs(apart - BURST).max(1) < 5.0).mean() > 0.5


@PRESETS
def test_a_candidate_that_absorbed_a_burst_is_refused_for_that_alone(preset: str) -> None:
    stream = Stream(preset)
    stream.feed(8000)
    fed = stream.feed(3000, burst=0.03)
    absorbed = stream.candidate(fed.values, lasting=True)  # a window that the rows kept apart are in
    shadow = stream.shadow(absorbed, burst=0.03)
    window = stream.model.beside.window
    assert window is not None
    decision = shadow.decide(stream.model.program, window.apart())
    assert decision.flagged < decision.flagged_before  # it raises fewer alerts
    assert decision.still_flagged < 0.5 * decision.apart
    assert decision.reason is Reason.KEPT_APART
    if preset == "events":  # by error and alert rate it would have passed
        assert shadow.decide(stream.model.program, {}).reason is Reason.ADOPTED


@PRESETS
def test_what_a_candidate_knows_of_a_burst_defines_normal_no_sooner_than_the_models_would(preset: str) -> None:
    stream = Stream(preset)
    stream.feed(8000)
    fed = stream.feed(3000, burst=0.03)
    shadow = stream.shadow(stream.candidate(fed.values), burst=0.03)
    window = stream.model.beside.window
    assert window is not None
    decision = shadow.decide(stream.model.program, window.apart())
    assert decision.apart > 20
    assert decision.still_flagged >= 0.9 * decision.apart


@PRESETS
def test_a_candidate_from_the_window_is_adopted_and_flags_what_the_model_did(preset: str) -> None:
    stream = Stream(preset)
    stream.feed(8000)
    stream.feed(3000, burst=0.03)
    window = stream.model.beside.window
    assert window is not None
    shadow = stream.shadow(stream.candidate(window.normal(1)[""].rows.astype(np.float64)))
    decision = shadow.decide(stream.model.program, window.apart())
    assert decision.apart > 20
    assert decision.still_flagged >= 0.9 * decision.apart
    assert decision.rows > 1000
    assert decision.reason in {Reason.ADOPTED, Reason.ERROR}


@PRESETS
def test_a_candidate_that_knows_one_of_three_clusters_is_refused(preset: str) -> None:
    stream = Stream(preset)
    stream.feed(8000)
    one = CENTRES[0] + stream.rng.normal(0, 1, (1000, 4))
    window = stream.model.beside.window
    assert window is not None
    decision = stream.shadow(stream.candidate(one)).decide(stream.model.program, window.apart())
    assert decision.reason in {Reason.ERROR, Reason.KEPT_APART}
    assert decision.error > 2 * decision.error_before


@PRESETS
def test_the_shadow_changes_nothing(preset: str) -> None:
    one, other = Stream(preset), Stream(preset)
    for stream in (one, other):
        stream.feed(4000)
    one.shadow(one.candidate(one.rng.normal(size=(500, 4))), blocks=20)
    other.rng.bit_generator.state = one.rng.bit_generator.state
    again = Stream(preset)
    again.feed(4000)
    again.rng.normal(size=(500, 4))
    for _ in range(20):
        again.feed(64)
    assert one.model.header() == again.model.header()
    assert one.model.bank.pack(np.array([0])) == again.model.bank.pack(np.array([0]))


@PRESETS
def test_a_candidate_is_calibrated_by_the_stream_that_it_shadows(preset: str) -> None:
    stream = Stream(preset)
    stream.feed(8000)
    window = stream.model.beside.window
    assert window is not None
    candidate = stream.candidate(window.normal(1)[""].rows.astype(np.float64))
    wrong = Version.from_payload(candidate.payload())
    wrong.sketches[:, :, :2] *= 1.3
    shadow = stream.shadow(wrong, blocks=60)
    right = shadow.calibrated(np.array([0])).sketches[0, 0, 0]
    live = stream.model.bank.sketches[0, 0, 0]
    assert abs(right - live) < 0.5 * abs(wrong.sketches[0, 0, 0] - live)


@PRESETS
def test_a_candidate_is_judged_by_the_filters_that_the_model_is_judged_by(preset: str) -> None:
    """Rows that lie beyond what they were, in the direction that nobody is to be told of."""
    stream = Stream(preset, Filter(direction="drop"))
    stream.feed(8000)
    window = stream.model.beside.window
    assert window is not None
    candidate = stream.candidate(window.normal(1)[""].rows.astype(np.float64))
    shadow = stream.model.beside.begin_shadow(candidate, stream.model.budget.rate, 30)
    while not shadow.complete:
        values = CENTRES[0] + stream.rng.normal(0, 1, (64, 4))
        values[::4] += 30.0
        stream.model.advance(rows(values, start=stream.at))
        stream.at += 64
    decision = shadow.decide(stream.model.program, window.apart())
    assert decision.flagged_before < 0.1 * decision.rows
    assert decision.flagged < 0.1 * decision.rows


def test_rows_that_are_too_far_out_move_the_scale_of_a_candidate_that_knows_few_rows() -> None:
    """As they do the model's: all of its first rows may be far out by a scale that is wrong."""
    stream = Stream("events")
    stream.feed(8000)
    window = stream.model.beside.window
    assert window is not None
    candidate = stream.candidate(window.normal(1)[""].rows.astype(np.float64))
    settled = {}
    for known in (10.0, 1000.0):
        wrong = Version.from_payload(candidate.payload())
        wrong.sketches[:] = [0.01, 0.05, known]
        settled[known] = stream.shadow(wrong).calibrated(np.array([0])).sketches[0, 0, 0]
    live = stream.model.bank.sketches[0, 0, 0]
    assert abs(settled[10.0] - live) < 0.3 * live
    assert settled[1000.0] < 0.3 * live, "a few rows far out hide no others"


def test_smoothed_scores_of_a_candidate_go_on_from_the_fastest_when_an_incident_resolves() -> None:
    stream = Stream("metrics")
    stream.feed(8000)
    window = stream.model.beside.window
    assert window is not None
    shadow = stream.model.beside.begin_shadow(
        stream.candidate(window.normal(1)[""].rows.astype(np.float64)), stream.model.budget.rate, 1000
    )
    stream.feed(640)
    assert shadow._smoothed[0, 0] != shadow._smoothed[0, 1]
    stream.feed(64, burst=1.0)
    assert stream.model.incidents.open
    for _ in range(100):
        stream.feed(64)
        if not stream.model.incidents.open:
            break
    assert not stream.model.incidents.open
    fastest, slowest = shadow._smoothed[0]
    assert fastest == slowest, "at the end of its block, as the model's do"


def test_what_an_operator_approved_counts_for_the_candidate_too() -> None:
    stream = Stream("events")
    stream.feed(8000)
    names = [feature.name for feature in stream.model.detection.events.features]
    said = {
        "id": "approved",
        "verdict": "normal",
        "entity": None,
        "until": None,
        "features": names,
        "centre": BURST.tolist(),
        "scale": [1.0] * 4,
    }
    boundary = stream.model.open.number + 1
    stream.model.control([ControlRecord(boundary, ControlKind.FEEDBACK, said)])
    stream.feed(640)
    window = stream.model.beside.window
    assert window is not None
    shadow = stream.shadow(stream.candidate(window.normal(1)[""].rows.astype(np.float64)), burst=0.1)
    decision = shadow.decide(stream.model.program, {})
    assert decision.flagged_before < 0.05 * decision.rows
    assert decision.flagged < 0.05 * decision.rows
