"""How near what is flagged comes to what was asked for, on data that hold no fault.

    .venv/bin/python tests/bench/calibration.py [--seeds 10] [--asked 1e-2 1e-3 1e-4 1e-5] [--layouts ...] [--json]

Drives the model of a partition, without source, store and alerts: rows in, flagged rows and incidents out. For each
layout, each distribution of 4 features, and each rate (1e-4) or budget (5/day) asked for, it tells what came over what
was asked for: of a rate flagged rows, from the first that could be flagged; of a budget incidents that opened, after
three days.

one        one slot, 25.6 rows a second, which is 256 a tick
drift      the same, whose features wander by their spread in 200,000 rows
entities   1,000 slots of 600 rows each, which is all there ever is of them; 100 rows a second
slow       one slot, a row a second
fleet      50 slots, a row a minute of each, all at once

gaussian, student (t with 3 degrees of freedom, correlated), modes (three clusters), discrete (counts: what was asked
for is there the largest share of rows beyond a distance that occurs, where that is at most the rate asked for).

What is promised is a factor of 2, and of 3 under drift: it exits with 1 where a ratio is beyond. The ratio is that of
the sums over all seeds, beside it the least and the largest of the seeds, and how many were expected in all: of few, a
ratio is chance.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from detector.config.detection import Detection
from detector.config.sections import Config
from detector.models.budget import DAY
from detector.models.partition import PartitionModel
from detector.models.program import shared
from detector.models.progress import Progress
from detector.types import Bool, Float64, Partition, Phase, Rows
from tests.bench.measure import machine, say

FEATURES = 4
CALL = 4096
ASKED = ("1e-2", "1e-3", "1e-4", "1e-5")
SEEN_BEYOND = 10
"""Rows beyond the threshold that a slot should have seen at the rate asked for, where there are enough rows at all."""
EACH = 600
"""Rows of each of the entities."""
SETTLED, DAYS = 3 * DAY, 17
"""Event time after which incidents are counted, and days in all of a stream that has a budget."""
WANDERS_IN = 200_000
"""Rows over which a feature that drifts moves by its spread."""


class Layout(NamedTuple):
    """How rows are dealt out: to how many entities (0 = to one slot), how many a second, how many of them at once."""

    entities: int
    per_second: float
    together: int = 1
    drifts: bool = False

    @property
    def promised(self) -> float:
        """The factor within which what comes is to be."""
        return 3.0 if self.drifts else 2.0


LAYOUTS = {
    "one": Layout(0, 25.6),
    "drift": Layout(0, 25.6, drifts=True),
    "entities": Layout(1000, 100.0),
    "slow": Layout(0, 1.0),
    "fleet": Layout(50, 50 / 60, together=50),
}

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
    """What is measured once: `asked` is a rate or a budget."""

    layout: str
    distribution: str
    asked: str
    preset: str
    seed: int
    rows: int


class Observed(NamedTuple):
    """What was to come and what came, of what was asked for; rows that could be flagged, and incidents."""

    expected: float
    came: int
    rows: int
    incidents: int


def new_model(preset: str, features: int, *, keyed: bool, asked: str) -> PartitionModel:
    """Return a new model with the defaults of a preset, of a slot for each host or one; a rate or budget is asked."""
    events: dict[str, Any] = {"features": [f"f{d}" for d in range(features)]}
    if keyed:
        events["entity"] = "host"
    settings = {"preset": preset, "source": {"kind": "computer"}, "events": events}
    alerting = {"budget": asked} if "/" in asked else {"false_alarm_rate": float(asked)}
    config = Config.model_validate(settings | {"alerting": alerting})
    return PartitionModel(Partition("bench", 0), Detection.of(config), programs=shared, load=lambda _: {})


def model_of(case: Case) -> PartitionModel:
    """Return a new model of a case."""
    return new_model(case.preset, FEATURES, keyed=LAYOUTS[case.layout].entities > 0, asked=case.asked)


def rows_of(case: Case) -> Iterator[Rows]:
    """Yield the rows of a case, a call's at a time."""
    layout = LAYOUTS[case.layout]
    rng = np.random.default_rng([case.seed, *case.distribution.encode()])
    names = [f"host-{number}" for number in range(layout.entities)]
    for start in range(0, case.rows, CALL):
        n = min(CALL, case.rows - start)
        numbers = np.arange(start, start + n)
        values = DISTRIBUTIONS[case.distribution](rng, n)
        entities = None
        if layout.entities:
            hosts = numbers % layout.entities
            entities = [names[host] for host in hosts.tolist()]
            values += hosts[:, None] * (0 if case.distribution == "discrete" else _SPREAD)
        if layout.drifts:
            values += (numbers / WANDERS_IN)[:, None] * _SPREAD
        since = (numbers // layout.together).astype(np.float64) * (layout.together / layout.per_second)
        yield Rows(numbers, np.zeros(n, np.int32), 1.8e9 + since, values, entities)


def observe(case: Case) -> Observed:
    """Run one case."""
    model, budget = model_of(case), "/" in case.asked
    rows, flagged, incidents, opened, distances = 0, 0, 0, 0, [np.zeros(0, np.float32)]
    for some in rows_of(case):
        progress = model.advance(some)
        assert progress.taken == len(some)
        could = _could(case, model, some, progress)
        rows += int(could.sum())
        flagged += len(progress.flagged)
        begun = [told.start for told in progress.transitions if told.phase is Phase.OPEN]
        incidents += len(begun)
        opened += sum(start >= 1.8e9 + SETTLED for start in begun)
        if case.distribution == "discrete" and not budget:
            distances.append(progress.smoothed[could].astype(np.float32))
    if budget:
        seconds = case.rows / LAYOUTS[case.layout].per_second - SETTLED
        return Observed((model.budget.asked or 0.0) * seconds / DAY, opened, rows, incidents)
    return Observed(rows * _attainable(np.concatenate(distances), float(case.asked)), flagged, rows, incidents)


def _could(case: Case, model: PartitionModel, some: Rows, progress: Progress) -> Bool:
    """Tell which rows [n] could be flagged: those of slots that know enough, once the reference supports the rate."""
    reference, layout = model.reference, LAYOUTS[case.layout]
    enough = reference.total >= model.detection.alerting.warm_up and reference.least_rate <= model.budget.rate
    scored: Bool = np.isfinite(progress.score) & enough
    return scored & (some.offsets >= max(layout.entities, 1) * model.detection.model.warm_up)


def _attainable(distances: Any, rate: float) -> float:
    """Return the largest share beyond a distance that occurs, where that is at most the rate; else that."""
    shares = np.unique(np.round(distances, 2), return_counts=True)[1][::-1].cumsum() / max(len(distances), 1)
    at_most = shares[shares <= rate]
    return float(at_most[-1]) if len(at_most) else rate


def cases(given: argparse.Namespace) -> list[Case]:
    """Return all that is to be measured."""
    found = []
    for layout, name, asked in product(given.layouts, given.distributions, given.asked):
        dealt = LAYOUTS[layout]
        if "/" in asked:
            rows = int(DAYS * DAY * dealt.per_second)
        else:
            rows = int(min(max(200_000, SEEN_BEYOND / float(asked)), given.most))
        rows = dealt.entities * EACH if layout == "entities" else rows
        found += [Case(layout, name, asked, given.preset, seed, rows) for seed in given.of]
    return found


def summary(of: list[Observed]) -> dict[str, float]:
    """Return what came over what was expected: of all seeds, the least and the largest."""
    each = [one.came / max(one.expected, 1e-9) for one in of]
    expected = sum(one.expected for one in of)
    return {
        "ratio": round(sum(one.came for one in of) / max(expected, 1e-9), 3),
        "least": round(min(each), 3),
        "largest": round(max(each), 3),
        "expected": round(expected, 1),
        "incidents": sum(one.incidents for one in of),
    }


def within(layout: str, ratio: float) -> bool:
    """Tell whether a ratio is what is promised."""
    return 1.0 / LAYOUTS[layout].promised <= ratio <= LAYOUTS[layout].promised


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first of the seeds")
    parser.add_argument("--asked", nargs="+", default=ASKED, help="rates or budgets")
    parser.add_argument("--layouts", nargs="+", choices=sorted(LAYOUTS), default=["entities", "one", "drift"])
    parser.add_argument("--distributions", nargs="+", choices=sorted(DISTRIBUTIONS), default=list(DISTRIBUTIONS))
    parser.add_argument("--preset", choices=("events", "metrics"), default="events")
    parser.add_argument("--most", type=int, default=4_000_000, help="rows of a slot, at most")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    given.of = range(given.first, given.first + given.seeds)
    say(machine())
    every = cases(given)
    results: dict[tuple[str, str, str], list[Observed]] = {}
    with ProcessPoolExecutor(given.workers) as pool:
        for case, observed in zip(every, pool.map(observe, every), strict=True):
            results.setdefault(case[:3], []).append(observed)
            if len(results[case[:3]]) == given.seeds:
                say(f"{' '.join(case[:3])}: {summary(results[case[:3]])}")
    found = {name: summary(of) for name, of in results.items()}
    beyond = [name for name, figures in found.items() if not within(name[0], figures["ratio"])]
    for name, figures in found.items():
        promise = "BEYOND" if name in beyond else "within"
        print(
            f"{' '.join(name):28} {figures['ratio']:7.3f}  ({figures['least']:.3f} to {figures['largest']:.3f})"
            f"  of {figures['expected']:,.0f}  {promise} a factor of {LAYOUTS[name[0]].promised:g}"
        )
    if given.json:
        ratios = {" ".join(name): figures for name, figures in found.items()}
        print(json.dumps({"preset": given.preset, "seeds": given.seeds, "ratios": ratios}))
    sys.exit(1 if beyond else 0)


if __name__ == "__main__":
    main()
