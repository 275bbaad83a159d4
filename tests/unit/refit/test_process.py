from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from detector.refit import wire
from detector.refit.fitting import fit
from detector.refit.limits import Limits
from detector.refit.process import Ended, Failure, Process
from detector.refit.values import Parameters, Window
from tests.support.broker import wait_until

KMEANS = Parameters("kmeans", k=3)


def window(rows: int = 300, features: int = 4, seed: int = 0) -> Window:
    values = np.random.default_rng(seed).normal(size=(rows, features)).astype(np.float32)
    return Window(values, np.ones(rows), values.mean(0), values.var(0), 4, seed=seed)


def end_of(process: Process) -> Ended:
    found: list[Ended] = []

    def ended() -> bool:
        found.extend(filter(None, [process.ended()]))
        return bool(found)

    wait_until(ended, "the end of the process, by itself or by its limits", 120.0)
    return found[0]


def test_the_process_answers_what_fit_returns() -> None:
    windows = [window(seed=1), window(rows=50, seed=2)]
    ended = end_of(Process(wire.task(windows, KMEANS), Limits(), time.monotonic))
    assert (ended.failure, ended.detail) == (None, "")
    for candidate, asked in zip(ended.candidates, windows, strict=True):
        expected = fit(asked, KMEANS)
        assert candidate.centroids.tobytes() == expected.centroids.tobytes()
        assert candidate.sketch == pytest.approx(expected.sketch)
        assert (candidate.labels == expected.labels).all()


def test_the_process_never_reaches_tensorflow() -> None:
    program = "import sys, detector.refit.fitting, detector.refit.wire, detector.refit.limits; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "sklearn" in loaded
    assert not [name for name in loaded if name.startswith("tensorflow")]


def test_one_that_takes_too_long_is_killed_and_told_as_an_overrun() -> None:
    process = Process(wire.task([window()], KMEANS), Limits(time=0.0), time.monotonic)
    ended = end_of(process)
    assert ended.failure is Failure.OVERRUN
    with pytest.raises(ProcessLookupError):
        os.kill(process.id, 0)


def test_one_that_needs_more_processor_time_than_it_may_is_an_overrun() -> None:
    heavy = replace(window(rows=60_000, features=8), centroids=64, members=16)
    ended = end_of(Process(wire.task([heavy], KMEANS), Limits(cpu=1.0), time.monotonic))
    assert ended.failure is Failure.OVERRUN
    assert "processor time" in ended.detail


def test_one_that_needs_more_memory_than_it_may_is_an_overrun() -> None:
    heavy = Parameters("dbscan", eps=1e6)  # every row is every other's neighbour
    ended = end_of(Process(wire.task([window(rows=20_000)], heavy), Limits(memory=1 << 30), time.monotonic))
    assert ended.failure is Failure.OVERRUN
    assert "bytes" in ended.detail


@pytest.mark.parametrize("end", [lambda process: os.kill(process.id, signal.SIGKILL), lambda _: None])
def test_a_crash_is_a_failure_and_says_what_it_said(end: Callable[[Process], None]) -> None:
    process = Process(b"no message", Limits(), time.monotonic)
    end(process)
    ended = end_of(process)
    assert ended.failure is Failure.FAILED
    assert "status -9" in ended.detail or "MalformedMessageError" in ended.detail


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04", wire.answer([])[:-40], b"\x93NUMPY"])
def test_what_is_no_message_is_told(raw: bytes) -> None:
    with pytest.raises(wire.MalformedMessageError):
        wire.read_answer(raw)


def test_objects_are_not_unpickled() -> None:
    from io import BytesIO  # noqa: PLC0415 - only this test writes one by hand

    written = BytesIO()
    np.savez(written, head=np.array([{"items": []}], object))
    with pytest.raises(wire.MalformedMessageError):
        wire.read_answer(written.getvalue())
