"""The daemon as an operator runs it: a process, the shipped configuration, its log, its metrics and its exit status."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

import httpx2
import yaml

from tests.support.alert_schema import assert_alerts
from tests.support.broker import wait_until

SHIPPED = Path(__file__).parents[2] / "config.yaml"
PATIENCE = 150.0
"""Seconds for anything that a test waits for: generous, as other tests may hold both cores."""

NOT_SHIPPED: dict[str, Any] = {
    "blocks": {"rows": 64},
    "model": {"centroids": 4, "seed_rows": 16, "warm_up": 32},
    "alerting": {"false_alarm_rate": 0.01, "warm_up": 200},
    "incidents": {"resolve_after": "2s"},
    "checkpoint": {"interval": "200ms"},
}
"""Beside it tests run what is shipped: a model that learns from a few hundred events, and frequent checkpoints."""

DaemonFactory = Callable[..., "Daemon"]
"""(cluster, topics, settings, **environ) -> Daemon: the fixture `new_daemon`."""


class Daemon:
    """`detector run` in a folder of its own, which also holds its store unless DETECTOR_STORE says otherwise.

    `environ` fills in the variables of the shipped configuration; `settings` are put over its sections. It may be
    started again once it has ended; `log`, `output` and the metrics are those of the last start.
    """

    def __init__(
        self, folder: Path, environ: Mapping[str, str], settings: Mapping[str, Mapping[str, Any] | list[Any]]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.store = Path(environ.get("DETECTOR_STORE", folder / "store"))
        self._environ = {
            "DETECTOR_STORE": str(self.store),
            "DETECTOR_HTTP_PORT": "0",
            "DETECTOR_WEBHOOK_DIRECT": "true",
            **environ,
        }
        self.file = folder / "config.yaml"
        self.file.write_bytes(SHIPPED.read_bytes())
        self.configure({**NOT_SHIPPED, **settings})
        self._process: subprocess.Popen[str] | None = None
        self._readers: list[threading.Thread] = []
        self._url = ""
        self.errors: list[str] = []
        self.output: list[str] = []

    def configure(self, settings: Mapping[str, Mapping[str, Any] | list[Any]]) -> None:
        """Put settings over the sections of the configuration, from the next start or reload on."""
        config = yaml.safe_load(self.file.read_text(encoding="utf-8"))
        for name, section in settings.items():
            config[name] = {**(config.get(name) or {}), **section} if isinstance(section, Mapping) else section
        self.file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")

    def replace(self, sections: Mapping[str, Mapping[str, Any]]) -> None:
        """Put whole sections in the place of the configuration's, from the next start or reload on."""
        config = yaml.safe_load(self.file.read_text(encoding="utf-8"))
        self.file.write_text(yaml.safe_dump({**config, **sections}, sort_keys=False), encoding="utf-8")

    @property
    def text_of_configuration(self) -> str:
        """The configuration as it stands in its file."""
        return self.file.read_text(encoding="utf-8")

    @text_of_configuration.setter
    def text_of_configuration(self, text: str) -> None:
        self.file.write_text(text, encoding="utf-8")

    # --- beginning and ending

    def start(self, before: Sequence[str] = ()) -> Self:
        """Start the process, and do not wait for anything; `before` is what to put before the command."""
        assert not self.alive, "the daemon runs already"
        self.errors, self.output, self._url = [], [], ""
        self._process = subprocess.Popen(
            [*before, sys.executable, "-m", "detector", "run", "--config", str(self.file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, "PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "2", **self._environ},
        )
        self._readers = [
            threading.Thread(target=_keep, args=(pipe, lines), daemon=True)
            for pipe, lines in ((self._process.stderr, self.errors), (self._process.stdout, self.output))
        ]
        for reader in self._readers:
            reader.start()
        return self

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        assert self._process is not None
        self._process.send_signal(number)

    def fill_disk(self) -> None:
        """Let it write to no file: a limit of its process, for which a test needs neither rights nor a disk."""
        _, most = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (0, most))

    def make_room(self) -> None:
        """Undo `fill_disk`."""
        _, most = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (most, most))

    def kill(self) -> None:
        """End it as a power cut would; harmless where it has ended."""
        if self._process is not None:
            self._process.kill()
            self.wait()

    def terminate(self) -> int:
        """Ask it to end, and return its exit status."""
        self.send(signal.SIGTERM)
        return self.wait()

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait until the process has ended; returns its exit status (negative: the signal that ended it).

        What it wrote on standard output must be alerts.
        """
        assert self._process is not None
        status = self._process.wait(seconds)
        for reader in self._readers:
            reader.join(seconds)
        # What it was killed in the middle of is no line.
        assert_alerts(line for line in self.output if line.endswith("\n"))
        return status

    # --- what it says

    @property
    def text(self) -> str:
        """All that it wrote on standard error."""
        return "".join(self.errors)

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of its log; what is no JSON object is none."""
        return [json.loads(line) for line in list(self.errors) if line.startswith("{")]

    def said(self, message: str, **facts: Any) -> list[dict[str, Any]]:
        """Return the lines of the log with that message and those facts."""
        return [line for line in self.log if line["message"] == message and facts.items() <= line.items()]

    def until(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        """Wait until something is the case, as long as the daemon runs."""

        def met() -> bool:
            running = self.alive
            if condition():
                return True
            assert running, f"the daemon ended before {what}: {self.text[-3000:]}"
            return False

        try:
            wait_until(met, what, seconds)
        except AssertionError as error:
            error.add_note(self.text[-3000:])
            raise

    def until_said(self, message: str, count: int = 1, **facts: Any) -> dict[str, Any]:
        """Wait for the `count`th such line of the log; returns the last."""
        self.until(lambda: len(self.said(message, **facts)) >= count, f"it said {message} {facts}")
        return self.said(message, **facts)[-1]

    # --- what it answers

    def get(self, path: str) -> httpx2.Response:
        """Ask for `path` of its HTTP server."""
        return httpx2.get(self.url + path, timeout=PATIENCE)

    @property
    def url(self) -> str:
        """Where its HTTP server is, with a slash at the end."""
        if not self._url:
            self._url = self.until_said("listening")["url"]
        return self._url

    def post(self, path: str) -> httpx2.Response:
        """Post nothing to `path` of its HTTP server."""
        return httpx2.post(self.url + path, timeout=PATIENCE)

    def metrics(self) -> dict[str, float]:
        """Return its metrics by name and labels, as they are written."""
        lines = self.get("metrics").text.splitlines()
        samples = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def blocked(self) -> dict[str, str]:
        """Return what it waits for, by reason; `/readyz`, `/healthz` and the metrics must agree."""
        assert self.get("healthz").status_code == 200, "waiting is no hang"
        answer = self.get("readyz")
        body = answer.json()
        assert answer.status_code == (503 if body["reasons"] else 200)
        assert body["ready"] == (not body["reasons"])
        reasons: dict[str, str] = body["reasons"]
        return reasons

    def until_blocked(self, reason: str) -> str:
        """Wait until it says that it waits for that; returns what it says to people."""
        found: dict[str, str] = {}

        def waits() -> bool:
            found.update(self.blocked())
            return reason in found

        self.until(waits, f"it waited for {reason}")
        return found[reason]

    def until_ready(self) -> None:
        """Wait until it waits for nothing."""
        self.until(lambda: not self.blocked(), "it was ready")


def _keep(pipe: IO[str] | None, lines: list[str]) -> None:
    assert pipe is not None
    with pipe:
        lines.extend(pipe)
