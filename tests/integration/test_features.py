"""Declared features from a file to an alert, as `detector run` makes them of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

EPOCH = 1_800_000_000
SECONDS = 3_000
RESTART, JUMP = 1_500, 2_604
"""When one counter begins anew, and when its rate jumps; every seventh second the other feature is missing."""
JUMPED = range(JUMP, JUMP + 30)


def write(path: Path) -> None:
    """Write the readings of two hosts, a second apart: the counter of one begins anew once, then its rate jumps."""
    rng = np.random.default_rng(5)
    counters = {"web-1": 3e9, "web-2": 7.0}
    lines = []
    for second in range(SECONDS):
        if second == RESTART:
            counters["web-1"] = 0.0
        for host, counter in counters.items():
            jumped = host == "web-1" and second in JUMPED
            counters[host] = counter + float(rng.poisson(1000 if jumped else 100))
            event: dict[str, Any] = {"host": host, "ts": EPOCH + second, "requests": counters[host]}
            event["load"] = None if second % 7 == 0 else round(float(rng.normal(2.0, 0.3)), 3)
            lines.append(json.dumps(event))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def alerts(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the daemon alerted of, in order."""
    folder = tmp_path_factory.mktemp("features")
    write(folder / "readings.jsonl")
    config = {
        "source": {"kind": "file", "path": str(folder / "readings.jsonl")},
        "events": {
            "features": [{"name": "requests", "transforms": ["rate"], "missing": "reject"}, "load"],
            "missing": "previous",
            "cycles": ["hour_of_day"],
            "entity": "host",
            "timestamp": {"path": "ts", "unit": "s"},
        },
        "store": {"path": str(folder / "store")},
        "http": {"enabled": False},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    command = [sys.executable, "-m", "detector", "run", "--config", str(folder / "config.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_counter_alerts_when_its_rate_jumps(alerts: list[dict[str, Any]]) -> None:
    first = next(alert for alert in alerts if alert["epoch"] >= EPOCH + JUMP)
    assert (first["entity"], first["epoch"]) == ("web-1", EPOCH + JUMP)
    rate = max(first["features"], key=lambda feature: feature["share"])
    assert (rate["name"], rate["feature"], rate["unit"]) == ("requests (rate)", "requests", "1/s")
    assert rate["observed"] == pytest.approx(1000, abs=200)
    assert rate["expected"] == pytest.approx(100, abs=20)
    assert first["summary"].startswith("web-1: requests (rate)")


def test_a_counter_that_began_anew_alerts_of_nothing(alerts: list[dict[str, Any]]) -> None:
    near = range(EPOCH + RESTART - 2, EPOCH + RESTART + 3)
    assert [alert["summary"] for alert in alerts if alert["epoch"] in near] == []
    assert len(alerts) < 10, "and little else does"


def test_an_alert_tells_what_stood_in_for_what_was_missing(alerts: list[dict[str, Any]]) -> None:
    for alert in alerts:
        missing = (alert["epoch"] - EPOCH) % 7 == 0
        assert alert["imputed"] == (["load"] if missing else [])
        assert alert["missing_share"] == 0.5 * missing
        assert (alert["confidence"] < 1) is missing
        assert ("confidence" in alert["summary"]) is (missing and alert["phase"] == "open")
    first = next(alert for alert in alerts if alert["epoch"] == EPOCH + JUMP)
    assert first["imputed"] == ["load"]
    assert first["confidence"] == pytest.approx(0.5, abs=0.01), "the distance is that of the rate, which was observed"
