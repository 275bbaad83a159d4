"""A real Prometheus that scrapes one daemon every second, with the shipped rules or others."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.support.broker import free_port
from tests.support.served import served

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "rules.yaml"


def promtool(folder: Path, *arguments: str) -> None:
    """Run promtool in a folder; AssertionError with what it says where it finds something wrong."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is missing: it comes with Prometheus (Debian's package `prometheus`)")
    command = [program, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


class Prometheus:
    """Asks a running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Evaluate an expression now; returns its series."""
        answer = httpx2.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=30)
        body = answer.json()
        assert body["status"] == "success", f"{expression}: {body}"
        result: list[dict[str, Any]] = body["data"]["result"]
        return result

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        alerts = httpx2.get(f"{self.url}/api/v1/alerts", timeout=30).json()["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


@contextmanager
def prometheus(folder: Path, target: str, alertmanager: str | None = None, rules: Path = RULES) -> Iterator[Prometheus]:
    """Start Prometheus on `target` (host:port), and end it; it sends its alerts to an Alertmanager (host:port)."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is missing: install it (Debian's package `prometheus`)")
    folder.mkdir(parents=True)
    config = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}] if alertmanager else []},
        "scrape_configs": [{"job_name": "detector", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        program,
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with served("Prometheus", command, url, folder / "log"):
        yield Prometheus(url)
