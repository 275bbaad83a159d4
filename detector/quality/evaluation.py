"""A labelled set's evaluation: every row is scored before it is learned, and no detector ever sees a label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from detector.quality import nab, peers, scoring, spans
from detector.quality.labelled import LabelledSet, Run
from detector.quality.measures import Quality, mean, quality
from detector.quality.presets import Preset, Settings
from detector.quality.spans import Found
from detector.types import Float64

DETECTOR = "detector"
SCORE = "detector, by its score"
SMOOTHED = " + EMA"
"""Ends the name of a peer whose scores are smoothed."""

EMPTY: Settings = MappingProxyType({})

Phase = Callable[[str, int], Callable[[int], None]]
"""Is told what begins (a name, a number of rows), and gives back what is to be told of rows as they are done."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a detector reached on a set. `nab` has a score for each of NAB's profiles, where the set has windows."""

    quality: Quality
    nab: dict[str, float]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of a set: means over its runs.

    judgements         by detector: DETECTOR by its distances, SCORE by the score as it is told, then the peers
    events_per_second  rows that the daemon decoded, scored and learned a second
    found              what an operator feels, of a set of `metrics` in file order
    """

    name: str
    group: str
    preset: Preset
    judgements: dict[str, Judgement]
    events_per_second: float
    found: Found | None


def evaluate(
    labelled: LabelledSet, beside: Sequence[peers.Kind], phase: Phase, settings: Settings = EMPTY
) -> Evaluation | None:
    """Run the daemon, with settings before its preset's, and its peers; None where nothing is to be told apart."""
    judged = list[dict[str, Judgement]]()
    rows, seconds, found = 0, 0.0, None
    for run in labelled.runs():
        if run.labels.all() or not run.labels.any():
            return None
        scored = scoring.score(
            labelled.name, labelled.rule.preset, settings, run, phase(f"{labelled.name}: {DETECTOR}", len(run))
        )
        rows, seconds = rows + len(run), seconds + scored.seconds
        ranks = {DETECTOR: scored.ranks(), SCORE: scored.ranks_by_score()}
        for kind in beside:
            ranks |= _beside(labelled, run, kind, phase)
        # A distance is on its stream's own scale, but NAB's threshold is one for all streams.
        on_one_scale = ranks | dict.fromkeys((DETECTOR, SCORE), scored.on_one_scale())
        judged.append({name: _judgement(run, each, on_one_scale[name]) for name, each in ranks.items()})
        if labelled.rule.preset == "metrics" and labelled.rule.shuffle is None:
            found = spans.found(run, ranks[DETECTOR])
    return Evaluation(
        labelled.name,
        labelled.rule.group,
        labelled.rule.preset,
        {name: _mean([run[name] for run in judged]) for name in judged[0]},
        rows / max(seconds, 1e-9),
        found,
    )


def group_quality(evaluations: Sequence[Evaluation], detector: str = DETECTOR) -> Quality:
    """Return a detector's mean over some sets."""
    return mean([each.judgements[detector].quality for each in evaluations])


def _beside(labelled: LabelledSet, run: Run, kind: peers.Kind, phase: Phase) -> dict[str, Float64]:
    """Return a peer's scores, for series also smoothed, which is what helps them most."""
    scores = peers.score(kind, run, phase(f"{labelled.name}: {kind.name}", len(run)))
    if labelled.rule.preset == "events":
        return {kind.name: scores}
    return {kind.name: scores, kind.name + SMOOTHED: peers.smoothed(run, scores)}


def _judgement(run: Run, ranks: Float64, on_one_scale: Float64) -> Judgement:
    return Judgement(quality(run, ranks), nab.scores(run, on_one_scale) if run.windows else {})


def _mean(runs: Sequence[Judgement]) -> Judgement:
    profiles = runs[0].nab
    return Judgement(
        mean([run.quality for run in runs]),
        {profile: float(np.mean([run.nab[profile] for run in runs])) for profile in profiles},
    )
