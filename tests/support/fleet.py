"""The simulated fleet as a producer: `detector demo --fleet --produce`, which can be held and let go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.broker import Cluster
from tests.support.daemon import SHIPPED


class Fleet:
    """A fleet that plays."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def said(self) -> str:
        """All that it has said: what breaks, and until when, a line each."""
        return self._log.read_text(encoding="utf-8")

    def hold(self) -> None:
        """Let nothing more come, as where the network between fleet and broker is cut."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let what was held come at once, and then the rest as it is due."""
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def fleet(cluster: Cluster, topic: str, log: Path, *, seed: int, hosts: int, speed: int) -> Iterator[Fleet]:
    """Play a fleet to a topic: a healthy day at once, then the day on which it breaks; `log` takes what it says."""
    command = [sys.executable, "-m", "detector", "demo", "--fleet", "--produce", topic, "--config", str(SHIPPED)]
    command += [f"--seed={seed}", f"--hosts={hosts}", f"--speed={speed}"]
    environ = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap, "PYTHONUNBUFFERED": "1"}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environ)
    try:
        yield Fleet(process, log)
        assert process.poll() is None, log.read_text(encoding="utf-8")
    finally:
        process.kill()
        process.wait(30)
