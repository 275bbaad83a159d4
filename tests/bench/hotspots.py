"""Where the daemon's main thread spends its time, from what py-spy recorded.

Run: python tests/bench/throughput.py --profile FILE && python tests/bench/hotspots.py FILE [--top N] [--under FUNCTION]

Prints tables in shares of the samples below `Service.run`, without those of taking partitions over (compiling): by
every function on the stack (inclusive), by what was running (self), and how busy everything else was beside them.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path

_UNDER = "Service.run (detector/service.py)"
_WITHOUT = "Ownership.assigned (detector/ownership.py)"


def stacks(file: Path) -> list[tuple[list[str], int]]:
    """Read py-spy's raw format: frames from the outermost in, joined by semicolons, then the number of samples."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        frames, _, count = line.rpartition(" ")
        found.append((frames.split(";"), int(count)))
    return found


def function(frame: str) -> str:
    """Return a frame without its line number."""
    return re.sub(r":\d+\)$", ")", frame)


def table(title: str, counted: Counter[str], total: int, top: int) -> None:
    print(f"\n{title}")
    for name, count in counted.most_common(top):
        print(f"{100 * count / total:6.1f} %  {name}")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file", type=Path)
    arguments.add_argument("--top", type=int, default=25)
    arguments.add_argument("--under", default=_UNDER, help="count only samples below this function")
    arguments.add_argument("--without", default=_WITHOUT, help="and none below this one")
    given = arguments.parse_args()
    lines, selves, inclusive, others = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    total = 0
    for frames, count in stacks(given.file):
        thread, *calls = frames
        names = [function(call) for call in calls]
        if given.under not in names or given.without in names:
            others[thread] += count
            continue
        below = names[names.index(given.under) :]
        total += count
        lines[calls[-1]] += count
        selves[names[-1]] += count
        inclusive.update(dict.fromkeys(below, count))
    assert total, f"no sample below {given.under}"
    print(f"{total} samples below {given.under}")
    table("inclusive, by function", inclusive, total, given.top)
    table("self, by function", selves, total, given.top)
    table("self, by line", lines, total, given.top)
    table("samples elsewhere (start-up, and other threads), in per cent of the above", others, total, given.top)


if __name__ == "__main__":
    main()
