"""The refit's process as the daemon sees it: started, looked at between turns, never waited for."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from enum import StrEnum
from tempfile import TemporaryFile
from typing import NamedTuple

from detector.refit import wire
from detector.refit.limits import Limits, environment
from detector.refit.values import Candidate

_LAST_LINES = 300
"""Characters of what the process said last that are told when it fails."""


class Failure(StrEnum):
    """Why there is no answer: a bounded set, used as a metric label."""

    FAILED = "failed"
    OVERRUN = "overrun"


class Ended(NamedTuple):
    """How a refit's process ended: its candidates, or a failure and a line for people; and how long it took."""

    candidates: list[Candidate]
    failure: Failure | None
    detail: str
    seconds: float


class Process:
    """One refit under way. What goes in and out are files, so neither side ever waits for the other."""

    def __init__(self, task: bytes, limits: Limits, monotonic: Callable[[], float]) -> None:
        self._limits = limits
        self._monotonic = monotonic
        self._started = monotonic()
        self._output = TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._errors = TemporaryFile()  # noqa: SIM115 - likewise
        with TemporaryFile() as given:
            given.write(task)
            given.seek(0)
            asked = [str(limits.cpu), str(limits.memory), str(limits.threads)]
            self._process = subprocess.Popen(  # noqa: S603 - this very package, with three numbers
                [sys.executable, "-m", "detector.refit", *asked],
                stdin=given,
                stdout=self._output,
                stderr=self._errors,
                env=environment(limits),
                start_new_session=True,  # Ctrl-C is the daemon's to answer
            )

    @property
    def id(self) -> int:
        """The process's id."""
        return self._process.pid

    def ended(self) -> Ended | None:
        """Tell how it ended, None while it runs; past its time it is killed. Once it has told, it is closed."""
        seconds = self._monotonic() - self._started
        late = seconds > self._limits.time
        if self._process.poll() is None:
            if not late:
                return None
            self._process.kill()
            self._process.wait()
            ended = Ended([], Failure.OVERRUN, f"it took longer than {self._limits.time:g} s", seconds)
        else:
            ended = self._read(seconds)
        self.close()
        return ended

    def close(self) -> None:
        """End it if it still runs, and let go of its files; closing twice is harmless."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._errors.close()

    def _read(self, seconds: float) -> Ended:
        status = self._process.returncode
        if status == 0:
            self._output.seek(0)
            try:
                return Ended(wire.read_answer(self._output.read()), None, "", seconds)
            except wire.MalformedMessageError as error:
                return Ended([], Failure.FAILED, str(error), seconds)
        if status == -signal.SIGXCPU:
            return Ended([], Failure.OVERRUN, f"it used more than {self._limits.cpu:g} s of processor time", seconds)
        self._errors.seek(0)
        said = " ".join(self._errors.read().decode(errors="replace").split())[-_LAST_LINES:]
        if "MemoryError" in said:
            return Ended([], Failure.OVERRUN, f"it needed more than {self._limits.memory} bytes: {said}", seconds)
        return Ended([], Failure.FAILED, f"it ended with status {status}: {said}", seconds)
