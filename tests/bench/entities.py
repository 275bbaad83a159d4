"""What entities cost: events per second, memory, disk, checkpoints and restarts with 1 to 1,000,000 of them.

Run: python tests/bench/entities.py [--quick] [--counts N,N,..] [--rows N] [--seed-rows N] [--json]

It needs the extra `test`, and no broker. 8 features, 4 centroids, one partition, defaults otherwise; each number of
entities in a process of its own, with a store on disk and the daemon's own pipeline, ownership, writer and metrics.
Rows come prepared, so that neither Kafka nor decoding is in the figures: 4,096 a turn, of entities drawn evenly.

advance     PartitionModel.advance alone, on prepared Rows, once all slots exist and are seeded
pipeline    whole turns (advance, alerts to the outbox, metrics), no checkpoint due
memory      resident memory over that of the process before its first entity, once seeded
checkpoint  of all slots, then of those that 10,000 rows changed, while turns go on: bytes and seconds until durable,
            the longest turn, by how much it exceeds the median one without (pause), and the events/s meanwhile
disk        size of the partition's file after all of these checkpoints, closed
restart     opening the store and restoring the model; then a turn of rows whose entities all come from the store
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from detector.types import Int64
from tests.bench.measure import in_child, machine, say

if TYPE_CHECKING:
    from tests.bench.prepared import Traffic, Worker

COUNTS = (1, 1_000, 100_000, 1_000_000)
QUICK = (1, 100, 10_000)
FEATURES, CENTROIDS = 8, 4
TURN = 4096
CHANGED = 10_000
_TELL_SECONDS = 15.0

Result = dict[str, float]


def measure(entities: int, rows: int, seed_rows: int | None, folder: Path) -> Result:
    """Measure one number of entities."""
    from detector.app import Models  # noqa: PLC0415 - it imports TensorFlow, which only the children carry
    from detector.config.detection import Detection  # noqa: PLC0415 - likewise
    from detector.config.sections import Alerting, Blocks, Entities, Events, Feature, Model  # noqa: PLC0415 - likewise
    from tests.bench.prepared import Traffic, Worker  # noqa: PLC0415 - likewise

    events = Events(features=[Feature(name=f"f{d}") for d in range(FEATURES)], entity="host")
    detection = Detection(events, Blocks(), Entities(), Model(centroids=CENTROIDS, seed_rows=seed_rows), Alerting())
    models = Models()
    worker = Worker(folder, detection, models)
    empty = resident_bytes()
    names = [f"host-{number}" for number in range(entities)]
    traffic = Traffic(names, FEATURES)
    found: Result = {}

    bank = worker.owned.model.bank
    say(f"{entities:,} entities: {bank.seed_rows} rows each, which seed them")
    # One block more, for the last one to be complete.
    order = np.arange(entities * bank.seed_rows + detection.blocks.rows) % entities
    found["seeding_seconds"] = sum(worker.advance(traffic.of(part)) for part in in_turns(order))
    assert not bank.unseeded(worker.owned.model.slots.resident_slots()).any(), "some slots are not seeded"
    del order
    gc.collect()
    found["resident_bytes"] = resident_bytes()
    found["memory_bytes_per_entity"] = (found["resident_bytes"] - empty) / entities
    found["slot_bytes"] = bank.bytes_per_slot

    say(f"{entities:,} entities: twice {rows:,} rows")
    turns = max(1, rows // TURN)
    taken = [worker.advance(traffic.drawn(TURN)) for _ in range(turns)]
    found["advance_events_per_second"] = TURN * turns / sum(taken)
    taken = [worker.turn(traffic.drawn(TURN)) for _ in range(turns)]
    found["pipeline_events_per_second"] = TURN * turns / sum(taken)
    found["turn_median_ms"] = 1000 * statistics.median(taken)
    found["turn_longest_ms"] = 1000 * max(taken)

    say(f"{entities:,} entities: checkpoints")
    usual = found["turn_median_ms"]
    found |= checkpoint("checkpoint", worker, traffic, usual)
    worker.save()
    for part in in_turns(np.arange(CHANGED)):
        worker.turn(traffic.drawn(len(part)))
    found |= checkpoint("changed_checkpoint", worker, traffic, usual)
    worker.close()
    found["disk_bytes"] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    found["disk_bytes_per_entity"] = found["disk_bytes"] / entities

    say(f"{entities:,} entities: restart")
    del worker, bank
    gc.collect()
    started = time.perf_counter()
    worker = Worker(folder, detection, models)
    found["restart_seconds"] = time.perf_counter() - started
    found["first_turn_ms"] = 1000 * worker.turn(traffic.drawn(TURN))
    worker.close()
    return {key: round(value, 3) for key, value in found.items()}


def checkpoint(name: str, worker: Worker, traffic: Traffic, usual: float) -> Result:
    """Take a checkpoint while turns go on, which take `usual` milliseconds without one."""
    taken = [worker.turn(traffic.drawn(TURN), checkpoint=True)]
    while (done := worker.finished()) is None:
        taken.append(worker.turn(traffic.drawn(TURN)))
    return {
        f"{name}_bytes": done.bytes,
        f"{name}_seconds": done.seconds,
        f"{name}_turn_longest_ms": 1000 * max(taken),
        f"{name}_pause_ms": 1000 * max(taken) - usual,
        f"{name}_events_per_second": TURN * len(taken) / sum(taken),
    }


def in_turns(numbers: Int64) -> Iterator[Int64]:
    """Divide entity numbers among turns, and tell how far they are where that takes long."""
    told = time.monotonic()
    for start in range(0, len(numbers), TURN):
        if time.monotonic() - told > _TELL_SECONDS:
            told = time.monotonic()
            say(f"{start:,} of {len(numbers):,} rows")
        yield numbers[start : start + TURN]


def resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def report(results: dict[int, Result]) -> Result:
    """Print the figures side by side, and return the ratios of the most entities to the fewest."""
    print(f"{'entities':36}" + "".join(f"{count:>14,}" for count in results))
    for key in next(iter(results.values())):
        cells = (f"{result[key]:,.{0 if result[key] >= 1000 else 2}f}" for result in results.values())
        print(f"{key:36}" + "".join(f"{cell:>14}" for cell in cells))
    fewest, most = results[min(results)], results[max(results)]
    ratios: Result = {}
    for what in ("advance", "pipeline"):
        ratios[f"{what}_ratio"] = round(most[f"{what}_events_per_second"] / fewest[f"{what}_events_per_second"], 3)
        print(f"{what}: {max(results):,} entities at {ratios[f'{what}_ratio']:.2f} of the rate of {min(results):,}")
    return ratios


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help=f"only {QUICK} entities and fewer rows")
    arguments.add_argument("--counts", help="numbers of entities, with commas between")
    arguments.add_argument("--rows", type=int, help="rows to measure the rates with (default: 1,000,000)")
    arguments.add_argument("--seed-rows", type=int, help="rows that seed an entity: fewer make a million ready sooner")
    arguments.add_argument("--json", action="store_true", help="print one JSON object on the last line")
    arguments.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    rows = given.rows or (50_000 if given.quick else 1_000_000)
    if given.measure:
        with tempfile.TemporaryDirectory(prefix="detector-bench-") as folder:
            print(json.dumps(measure(given.measure, rows, given.seed_rows, Path(folder))))
        return
    about = machine()
    print(about)
    counts = [int(count) for count in given.counts.split(",")] if given.counts else QUICK if given.quick else COUNTS
    more = ["--seed-rows", given.seed_rows] if given.seed_rows else []
    results = {count: in_child(__file__, "--measure", count, "--rows", rows, *more) for count in counts}
    ratios = report(results)
    if given.json:
        print(json.dumps({**{str(n): result for n, result in results.items()}, **ratios, "machine": about}))


if __name__ == "__main__":
    main()
