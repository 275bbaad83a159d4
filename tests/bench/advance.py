"""PartitionModel.advance alone, on prepared rows: how long a call takes, by how many rows it is given.

Run: python tests/bench/advance.py [--entities N] [--features D] [--centroids K] [--rows N] [--pieces N,N,..]
     py-spy record --format raw --output FILE -- python tests/bench/advance.py     (and hotspots.py --under main)

It needs the extra `test`, and no broker. One partition, defaults otherwise; all slots exist and are seeded before. The
first percentile is what a call takes where nothing else has the processor meanwhile; it holds on a busy machine too.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from detector.app import Models
from detector.config.detection import Detection
from detector.config.sections import Config
from detector.types import Partition
from tests.bench.measure import machine
from tests.bench.prepared import Traffic

_PART = 3840


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--entities", type=int, default=250)
    arguments.add_argument("--features", type=int, default=16)
    arguments.add_argument("--centroids", type=int, default=16)
    arguments.add_argument("--rows", type=int, default=400_000, help="for each size of pieces, 2,000 pieces at most")
    arguments.add_argument("--pieces", default="12,256,3840", help="rows a call, with commas between")
    given = arguments.parse_args()
    names = [f"f{number}" for number in range(given.features)]
    config = {"source": {"kind": "kafka", "topics": ["bench"]}, "events": {"features": names, "entity": "host"}}
    detection = Detection.of(Config.model_validate({**config, "model": {"centroids": given.centroids}}))
    model = Models()(Partition("bench", 0), detection, lambda _: {})
    traffic = Traffic([f"host-{number}" for number in range(given.entities)], given.features)
    order = np.arange(given.entities * model.bank.seed_rows + detection.blocks.rows) % given.entities
    for start in range(0, len(order), _PART):
        model.advance(traffic.of(order[start : start + _PART]))

    print(machine())
    print(f"{'rows a call':>12}{'1 %, ms':>10}{'median, ms':>12}{'rows/s at 1 %':>15}{'rows per cpu s':>16}")
    for size in map(int, given.pieces.split(",")):
        taken, cpu = [], time.process_time()
        for _ in range(min(2_000, max(1, given.rows // size))):
            rows = traffic.drawn(size)
            started = time.perf_counter()
            model.advance(rows)
            taken.append(time.perf_counter() - started)
        of_cpu = size * len(taken) / (time.process_time() - cpu)
        least, median = np.percentile(taken, [1, 50])
        print(f"{size:>12,}{1e3 * least:>10.2f}{1e3 * median:>12.2f}{size / least:>15,.0f}{of_cpu:>16,.0f}")


if __name__ == "__main__":
    main()
