"""How near the share of flagged rows comes to the one that was asked for, on data that hold no fault.

    .venv/bin/python tests/bench/calibration.py [--seeds 10] [--rates 1e-2 1e-3 1e-4 1e-5] [--json]

Drives the model of a partition, without source, store and alerts: rows in, flagged rows and incidents out. For each
distribution of 4 features, each rate asked for, and each layout it tells the observed rate over the one asked for:

one        one slot, 3,840 rows a call, 10 rows a second
entities   1,000 slots of 600 rows each, which is all there ever is of them
drift      one slot whose features wander by their spread in 200,000 rows

gaussian, student (t with 3 degrees of freedom, correlated), modes (three clusters), discrete (counts: there "observed"
is over the largest share of rows beyond a distance that occurs, where that is at most the rate asked for).

Rows count from the first that could be flagged. A ratio within a factor of 2 (3 under drift) is what is promised. A
rate of 1e-5 needs millions of rows to be seen at all: the ratio is that of the sums over all seeds, beside it the
least and the largest of the seeds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from detector.config.detection import Detection
from detector.config.sections import Config
from detector.models.partition import PartitionModel
from detector.models.program import Program
from detector.models.shape import Rules, Shape, rules_of, shape_of
from detector.types import Float64, Partition, Rows
from tests.bench.measure import machine, say

FEATURES = 4
CALL = 3840
ENTITIES, EACH = 1000, 600
RATES = (1e-2, 1e-3, 1e-4, 1e-5)
LAYOUTS = ("one", "entities", "drift")
SEEN_BEYOND = 40
"""Rows beyond the threshold that a slot should have seen at the rate asked for, where there are enough rows at all."""

_SPREAD = np.array([1.0, 30.0, 0.01, 5.0])
_MIXING = np.random.default_rng(99).normal(size=(FEATURES, FEATURES)) / 2 + np.eye(FEATURES)
_MODES = np.random.default_rng(98).normal(size=(3, FEATURES)) * 8


def gaussian(rng: np.random.Generator, n: int) -> Float64:
    """Return rows [n, D] that are normal and correlated."""
    values: Float64 = rng.normal(size=(n, FEATURES)) @ _MIXING * _SPREAD
    return values


def student(rng: np.random.Generator, n: int) -> Float64:
    """Return rows [n, D] with heavy tails."""
    values: Float64 = rng.standard_t(3, size=(n, FEATURES)) @ _MIXING * _SPREAD
    return values


def modes(rng: np.random.Generator, n: int) -> Float64:
    """Return rows [n, D] of three clusters, one of which holds a tenth of them."""
    of = rng.choice(3, n, p=[0.5, 0.4, 0.1])
    values: Float64 = (_MODES[of] + rng.normal(size=(n, FEATURES))) * _SPREAD
    return values


def discrete(rng: np.random.Generator, n: int) -> Float64:
    """Return rows [n, D] of small counts."""
    return rng.poisson([0.3, 2.0, 0.05, 1.0], (n, FEATURES)).astype(np.float64)


DISTRIBUTIONS: dict[str, Callable[[np.random.Generator, int], Float64]] = {
    "gaussian": gaussian,
    "student": student,
    "modes": modes,
    "discrete": discrete,
}


class Case(NamedTuple):
    """What is measured once."""

    layout: str
    distribution: str
    rate: float
    preset: str
    seed: int
    rows: int


class Observed(NamedTuple):
    """Rows that could be flagged, those that were, incidents, and the share that could be met at best."""

    rows: int
    flagged: int
    incidents: int
    attainable: float


@cache
def _compiled(shape: Shape, rules: Rules) -> Program:
    return Program(shape, rules)


def model_of(case: Case) -> PartitionModel:
    """Return a new model with the defaults of the case's preset."""
    events: dict[str, Any] = {"features": [f"f{d}" for d in range(FEATURES)]}
    if case.layout == "entities":
        events["entity"] = "host"
    settings = {"preset": case.preset, "source": {"kind": "computer"}, "events": events}
    config = Config.model_validate(settings | {"alerting": {"false_alarm_rate": case.rate}})
    return PartitionModel(
        Partition("bench", 0),
        Detection.of(config),
        programs=lambda detection: _compiled(shape_of(detection), rules_of(detection)),
        load=lambda _: {},
    )


def rows_of(case: Case) -> Iterator[Rows]:
    """Yield the rows of a case, a call's at a time."""
    rng = np.random.default_rng([case.seed, *case.distribution.encode()])
    names = [f"host-{number}" for number in range(ENTITIES)]
    for start in range(0, case.rows, CALL):
        n = min(CALL, case.rows - start)
        numbers = np.arange(start, start + n)
        values = DISTRIBUTIONS[case.distribution](rng, n)
        entities = None
        if case.layout == "entities":
            entities = [names[number % ENTITIES] for number in numbers]
            values += (numbers % ENTITIES)[:, None] * (0 if case.distribution == "discrete" else _SPREAD)
        if case.layout == "drift":
            values += (numbers / 200_000)[:, None] * _SPREAD
        yield Rows(numbers, np.zeros(n, np.int32), 1.8e9 + numbers / 10.0, values, entities)


def observe(case: Case) -> Observed:
    """Run one case."""
    model, rows, flagged, incidents, distances = model_of(case), 0, 0, 0, []
    for some in rows_of(case):
        progress = model.advance(some)
        assert progress.taken == len(some)
        could = model.reference.total >= model.detection.alerting.warm_up
        scored = np.isfinite(progress.score) & could
        if case.layout == "entities":
            scored &= some.offsets >= ENTITIES * model.detection.model.warm_up
        rows += int(scored.sum())
        flagged += len(progress.flagged)
        incidents += sum(each.sequence == 1 for each in progress.transitions)
        distances.append(progress.smoothed[scored].astype(np.float32))
    attained = np.unique(np.round(np.concatenate(distances), 2), return_counts=True)[1][::-1].cumsum() / max(rows, 1)
    at_most = attained[attained <= case.rate]
    attainable = float(at_most[-1]) if case.distribution == "discrete" and len(at_most) else case.rate
    return Observed(rows, flagged, incidents, attainable)


def cases(given: argparse.Namespace) -> list[Case]:
    """Return all that is to be measured."""
    found = []
    for layout, name, rate in product(given.layouts, given.distributions, given.rates):
        enough = int(min(max(200_000, SEEN_BEYOND / rate), given.most))
        rows = ENTITIES * EACH if layout == "entities" else enough
        found += [Case(layout, name, rate, given.preset, seed, rows) for seed in range(given.seeds)]
    return found


def summary(of: list[Observed]) -> dict[str, float]:
    """Return the observed rate over the one that could be met: of all seeds, the least and the largest."""
    each = [one.flagged / max(one.rows, 1) / one.attainable for one in of]
    rows = sum(one.rows * one.attainable for one in of)
    return {
        "ratio": round(sum(one.flagged for one in of) / max(rows, 1e-9), 3),
        "least": round(min(each), 3),
        "largest": round(max(each), 3),
        "expected": round(rows, 1),
        "incidents": sum(one.incidents for one in of),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rates", type=float, nargs="+", default=RATES)
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=LAYOUTS)
    parser.add_argument("--distributions", nargs="+", choices=sorted(DISTRIBUTIONS), default=list(DISTRIBUTIONS))
    parser.add_argument("--preset", choices=("events", "metrics"), default="events")
    parser.add_argument("--most", type=int, default=4_000_000, help="rows of a slot, at most")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    say(machine())
    every = cases(given)
    results: dict[str, list[Observed]] = {}
    with ProcessPoolExecutor(given.workers) as pool:
        for case, observed in zip(every, pool.map(observe, every), strict=True):
            name = f"{case.layout} {case.distribution} {case.rate:g}"
            results.setdefault(name, []).append(observed)
            if len(results[name]) == given.seeds:
                say(f"{name}: {summary(results[name])}")
    found = {name: summary(of) for name, of in results.items()}
    for name, figures in found.items():
        print(f"{name:28} {figures['ratio']:7.3f}  ({figures['least']:.3f} to {figures['largest']:.3f})")
    if given.json:
        print(json.dumps({"preset": given.preset, "seeds": given.seeds, "ratios": found}))


if __name__ == "__main__":
    main()
