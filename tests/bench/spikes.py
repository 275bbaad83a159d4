"""How many of the spikes that come again and again, from the first rows on, are told of: rows in, flagged rows out.

    .venv/bin/python tests/bench/spikes.py [--rows 60000] [--share 0.002] [--asked 1e-4] [--json]

Gaussian rows, of which a share has one feature off by 12 to 48 of its spreads. For each preset, number of features and
number of entities (0 = one slot) it tells how many of those behind the first SETTLED rows were flagged, and how many of
all other rows. With a rate asked for that is less than the share, they can be told of only if they are held for none of
what is usual: nothing else tells of a stream that has always had its faults.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from detector.types import Rows
from tests.bench.calibration import CALL, new_model
from tests.bench.measure import machine

SETTLED = 3000
PRESETS, FEATURES, ENTITIES = ("events", "metrics"), (1, 6, 16), (0, 50)


class Told(NamedTuple):
    """What was flagged: spikes of so many, and other rows of so many."""

    spikes: int
    of: int
    others: int
    rows: int


def tell(preset: str, features: int, entities: int, given: argparse.Namespace) -> Told:
    """Run one model over all rows, a row a second."""
    rng, n = np.random.default_rng(given.seed), given.rows
    model = new_model(preset, features, keyed=entities > 0, asked=given.asked)
    values, spikes = rng.normal(50.0, 3.0, (n, features)), np.flatnonzero(rng.random(n) < given.share)
    far = 3.0 * rng.uniform(12.0, 48.0, len(spikes)) * rng.choice([-1, 1], len(spikes))
    values[spikes, rng.integers(0, features, len(spikes))] += far
    numbers, flagged = np.arange(n), np.zeros(n, np.bool_)
    names = [f"host-{number % entities}" for number in range(n)] if entities else None
    for start in range(0, n, CALL):
        some = numbers[start : start + CALL]
        own = names[start : start + CALL] if names else None
        rows = Rows(some, np.zeros(len(some), np.int32), 1.8e9 + some.astype(np.float64), values[some], own)
        flagged[start + model.advance(rows).flagged] = True
    late = spikes[spikes >= SETTLED]
    others = np.delete(flagged, spikes)
    return Told(int(flagged[late].sum()), len(late), int(others.sum()), len(others))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=60_000)
    arguments.add_argument("--share", type=float, default=0.002, help="of rows that are spikes")
    arguments.add_argument("--asked", default="1e-4", help="rate of false alarms asked for")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--json", action="store_true", help="print one JSON object on the last line")
    given = arguments.parse_args()
    print(machine())
    results = {}
    for preset, features, entities in product(PRESETS, FEATURES, ENTITIES):
        results[f"{preset} {features} {entities}"] = told = tell(preset, features, entities, given)
        about = f"{preset}, {features} features, {entities or 'no'} entities:"
        print(f"{about:36}{told.spikes:>5} of {told.of} spikes, {told.others} of {told.rows:,} others", flush=True)
    if given.json:
        print(json.dumps({name: told._asdict() for name, told in results.items()}))


if __name__ == "__main__":
    main()
