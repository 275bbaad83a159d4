"""Whether an alert names the features that are to blame: faults injected into 3 of 16 features.

Run: python tests/bench/explanation.py [--quick] [--seeds N] [--json]

Rows are normal in one of three ways: `plain` (correlated Gaussian noise), `modes` (the same about four centres, as of
things that work in shifts) and `rhythm` (metrics of ten hosts: a rhythm of two hours, and noise that lasts). Noise is
x = A f + e, with as much variance from the four common factors f as of its own, so that features foretell each other.
The model is the daemon's, by the defaults of the preset `events`, or `metrics` for `rhythm`, and a false-alarm rate of
1e-4; it learns 30,000 rows.

Then comes a fault of one entity: three features, drawn anew, each of which is moved up or down by 4 to 10 times its
spread about its centre. Each fault meets the model as it was after the normal rows, so that none is learned. A case is
a fault that opened an incident; asked is whether its three features have the three largest shares in that message.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from detector.types import Float64, Phase, Rows
from tests.bench.measure import machine, say

if TYPE_CHECKING:
    from detector.config.detection import Detection

FEATURES, FAULTY, FACTORS = 16, 3, 4
LEARNED, BEFORE, DURING = 30_000, 100, 400
"""Rows that the model learns; those of a case before the fault begins, and after."""
PERIOD = 7_200.0
"""Of the rhythm, in seconds of event time."""


@dataclass(frozen=True, slots=True)
class World:
    """What is normal. A row comes every `seconds`; `hosts` take turns, 0 = there is no entity field."""

    name: str
    preset: str
    seconds: float
    hosts: int = 0
    modes: int = 1
    rhythm: bool = False
    persistence: float = 0.0


WORLDS = (
    World("plain", "events", 0.05),
    World("modes", "events", 0.05, modes=4),
    World("rhythm", "metrics", 1.0, hosts=10, rhythm=True, persistence=0.8),
)


def normal(world: World, rows: int, rng: np.random.Generator) -> tuple[Float64, Float64]:
    """Return normal rows [rows, D], and each feature's spread about its centre [D]."""
    spread = np.exp(rng.normal(0.0, 2.0, FEATURES))
    mixing = rng.normal(0.0, 1.0, (FACTORS, FEATURES))
    mixing /= np.sqrt(2.0 * (mixing**2).sum(0))
    own = np.sqrt(0.5) * rng.normal(size=(rows, FEATURES))
    noise = rng.normal(size=(rows, FACTORS)) @ mixing + own
    lag = max(1, world.hosts)
    for row in range(lag, rows if world.persistence else 0):
        noise[row] = world.persistence * noise[row - lag] + np.sqrt(1.0 - world.persistence**2) * noise[row]
    centres = rng.normal(0.0, 4.0, (world.modes, FEATURES))
    values = noise + centres[np.cumsum(rng.random(rows) < 0.01) % world.modes]
    if world.rhythm:
        phase = 2.0 * np.pi * (world.seconds * np.arange(rows)[:, None] / PERIOD + rng.normal(0.0, 0.1, FEATURES))
        values += rng.uniform(0.0, 3.0, FEATURES) * np.cos(phase)
    return spread * (values + rng.uniform(5.0, 50.0, FEATURES)), spread


def log_of(world: World, values: Float64, start: int) -> Rows:
    """Return the rows of a log from number `start` on."""
    offsets = np.arange(start, start + len(values))
    entities = [f"host-{row % world.hosts}" for row in offsets.tolist()] if world.hosts else None
    return Rows(
        offsets, np.zeros(len(values), np.int32), 1.8e9 + world.seconds * offsets.astype(np.float64), values, entities
    )


def detection_of(world: World) -> Detection:
    """Return the daemon's defaults for such rows."""
    from detector.config.detection import Detection  # noqa: PLC0415 - pydantic is slow to import
    from detector.config.sections import Config  # noqa: PLC0415 - likewise

    events = {"features": [f"f{d}" for d in range(FEATURES)], "entity": "host" if world.hosts else None}
    alerting = {"budget": None, "false_alarm_rate": 1e-4}  # of a log of minutes a budget a day would leave nothing
    document = {"preset": world.preset, "source": {"kind": "computer"}, "events": events, "alerting": alerting}
    return Detection.of(Config.model_validate(document))


def judge(world: World, cases: int, seed: int) -> dict[str, int]:
    """Count the faults, those alerted, and those whose features have the three largest shares."""
    from tests.support.models import DictStore  # noqa: PLC0415 - it imports TensorFlow

    rng, store = np.random.default_rng(seed), DictStore()
    values, spread = normal(world, LEARNED + BEFORE + DURING, rng)
    model = store.model(detection_of(world))
    for at in range(0, LEARNED, 3840):
        model.advance(log_of(world, values[at : min(at + 3840, LEARNED)], at))
    header = store.checkpoint(model)
    every, alerted, right = max(1, world.hosts), 0, 0
    for _ in range(cases):
        features = rng.choice(FEATURES, FAULTY, replace=False)
        shift = rng.choice([-1.0, 1.0], FAULTY) * rng.uniform(4.0, 10.0, FAULTY) * spread[features]
        case = values[LEARNED:].copy()
        case[BEFORE::every][:, features] += shift
        progress = store.model(detection_of(world), header).advance(log_of(world, case, LEARNED))
        opened = [found.anomaly for found in progress.transitions if found.phase is Phase.OPEN and found.anomaly]
        first = next((row for row in opened if row.row >= BEFORE and not (row.row - BEFORE) % every), None)
        if first is not None:
            alerted += 1
            right += set(np.argsort(first.parts)[-FAULTY:].tolist()) == set(features.tolist())
    return {"faults": cases, "alerted": alerted, "right": right}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="one seed and few faults")
    arguments.add_argument("--seeds", type=int, default=5, help="logs of each kind")
    arguments.add_argument("--json", action="store_true", help="print one JSON object on the last line")
    given = arguments.parse_args()
    seeds, cases = (1, 20) if given.quick else (given.seeds, 100)
    print(machine())
    results: dict[str, dict[str, float]] = {}
    print(f"{'rows':12}{'faults':>10}{'alerted':>10}{'named':>10}{'share':>10}")
    for world in WORLDS:
        say(world.name)
        counts = [judge(world, cases, 100 + seed) for seed in range(seeds)]
        total = {key: sum(count[key] for count in counts) for key in counts[0]}
        share = total["right"] / max(1, total["alerted"])
        results[world.name] = {**total, "share": round(share, 4)}
        print(f"{world.name:12}{total['faults']:10}{total['alerted']:10}{total['right']:10}{share:10.3f}", flush=True)
    if given.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
