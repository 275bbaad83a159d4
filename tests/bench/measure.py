"""How the benchmarks measure: variants in processes of their own, a meter, a broker, and a line about the machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

from tests.support.broker import Broker, Cluster

ROOT = Path(__file__).resolve().parents[2]
_LIBRARIES = ("tensorflow", "numpy", "kafka-python", "quixstreams", "river")


class Meter:
    """Events per second from the first that were dealt with to the last.

    The first lot starts the clock and does not count, so start-up, joining a group and compiling are left out. (Where
    the first lot is all there is, the clock started when the meter was made: enough to try a benchmark out.)
    """

    def __init__(self, events: int) -> None:
        self._wanted = events
        self._seen = self._first = 0
        self._began = self._ended = time.perf_counter()
        self._cpu_began = self._cpu_ended = time.process_time()

    @property
    def done(self) -> bool:
        return self._seen >= self._wanted

    @property
    def rate(self) -> float:
        assert self.done, f"{self._seen} of {self._wanted} events arrived"
        return (self._seen - self._first) / (self._ended - self._began)

    @property
    def cpu_rate(self) -> float:
        """Events for each second that this process had of a processor, whatever else kept the machine busy."""
        assert self.done, f"{self._seen} of {self._wanted} events arrived"
        return (self._seen - self._first) / max(self._cpu_ended - self._cpu_began, 1e-9)

    def add(self, events: int) -> None:
        """Say that some more were dealt with."""
        self.reach(self._seen + events)

    def reach(self, events: int) -> None:
        """Say how many were dealt with by now."""
        if events == self._seen or self.done:
            return
        self._ended, self._cpu_ended = time.perf_counter(), time.process_time()
        if not self._seen and events < self._wanted:
            self._first, self._began, self._cpu_began = events, self._ended, self._cpu_ended
        self._seen = events


def say(text: str) -> None:
    """Tell how far the benchmark is, on standard error."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def machine() -> str:
    """Describe the machine in a line: figures mean nothing without it, nor under another load."""
    name = platform.processor() or "unknown processor"
    about = Path("/proc/cpuinfo")
    if about.exists():
        models = [line for line in about.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        name = models[0].partition(":")[2].strip() if models else name
    memory = psutil.virtual_memory().total / 2**30
    libraries = ", ".join(f"{library} {found}" for library in _LIBRARIES if (found := _version(library)))
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} x {name}, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {libraries}; load average at the start {load:.1f}"
    )


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def installed(*modules: str) -> bool:
    """Tell whether all those modules can be imported."""
    return all(find_spec(module) for module in modules)


def in_child(script: str, *arguments: object, under: Sequence[str] = ()) -> Any:
    """Run a benchmark's own script for one variant and return the JSON object it printed last.

    A process of its own, so that no variant warms another up. `under` is a command that runs it, such as a profiler.
    """
    command = [*under, sys.executable, script, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with status {done.returncode}")
    # Its last JSON: py-spy has a word of its own to say after it.
    return json.loads([line for line in done.stdout.splitlines() if line.startswith("{")][-1])


@contextmanager
def background(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Run a script beside the caller, with pipes to its standard input and output."""
    command = [sys.executable, script, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def next_line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process in the background says."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        sys.exit(f"{process.args!r} ended early")
    return line


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Yield the cluster that KAFKA_BOOTSTRAP_SERVERS names, or a broker started for this benchmark."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield Cluster(given)
        return
    with tempfile.TemporaryDirectory(prefix="detector-bench-") as folder:
        broker = Broker(Path(folder), java=("-Xms512m", "-Xmx1g"))
        broker.start()
        try:
            yield broker
        finally:
            broker.kill()
