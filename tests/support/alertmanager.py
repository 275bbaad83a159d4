"""A real Alertmanager on a port and in a folder of its own, and amtool to ask and to silence it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.broker import free_port
from tests.support.served import served

SHIPPED = Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yaml"


def tool(name: str) -> str:
    """Return where a program of Debian's package prometheus-alertmanager stands; skip where it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is missing: install it (Debian's package `prometheus-alertmanager`)")
    return found


def amtool(*arguments: str) -> str:
    """Run amtool; returns what it says."""
    done = subprocess.run([tool("amtool"), *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Alertmanager:
    """Asks a running Alertmanager."""

    def __init__(self, url: str) -> None:
        self.url = url

    def amtool(self, *arguments: str) -> str:
        """Run amtool against it."""
        return amtool(*arguments, f"--alertmanager.url={self.url}")

    def alerts(self, *matchers: str) -> list[dict[str, Any]]:
        """Return the alerts that it knows and that have not ended, silenced and inhibited ones too."""
        answer = httpx2.get(f"{self.url}/api/v2/alerts", params=[("filter", m) for m in matchers], timeout=30)
        alerts: list[dict[str, Any]] = answer.json()
        return alerts

    def labels(self, *matchers: str) -> list[dict[str, str]]:
        """Return the labels of those alerts, in a fixed order."""
        return sorted((alert["labels"] for alert in self.alerts(*matchers)), key=json.dumps)


@contextmanager
def alertmanager(folder: Path, configuration: Path = SHIPPED) -> Iterator[Alertmanager]:
    """Start Alertmanager with the shipped configuration or another, and end it."""
    program = tool("prometheus-alertmanager")
    folder.mkdir(parents=True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        program,
        f"--config.file={configuration}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with served("Alertmanager", command, url, folder / "log"):
        yield Alertmanager(url)
