"""A webhook receiver in a process of its own.

It prints its URL, notes when each request arrives until its standard input ends, and then prints a JSON array of
(epoch seconds, body).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from tests.bench.measure import background, next_line
from tests.support.receiver import Answer, Receiver, Request


@dataclass
class Received:
    """Where to post, and afterwards what came: (epoch seconds of arrival, body)."""

    url: str
    requests: list[tuple[float, Any]] = field(default_factory=list)


@contextmanager
def receiver() -> Iterator[Received]:
    """Yield a receiver; what it got is known after the block."""
    with background(__file__) as process:
        received = Received(next_line(process))
        yield received
        said, _ = process.communicate(timeout=30)
        received.requests = [(at, json.loads(body)) for at, body in json.loads(said)]


class _Noting(Receiver):
    def __init__(self) -> None:
        super().__init__()
        self.arrivals: list[tuple[float, str]] = []

    def _take(self, request: Request) -> Answer:
        self.arrivals.append((time.time(), request.body.decode()))
        return self.otherwise


def main() -> None:
    with _Noting() as noting:
        print(noting.url, flush=True)
        sys.stdin.read()
    print(json.dumps(noting.arrivals))


if __name__ == "__main__":
    main()
