"""`detector demo --fleet --produce` as a user runs it, to a real broker: the shipped configuration reads it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from detector import decoding
from detector.config.load import load
from tests.support.broker import Cluster
from tests.support.kafka_topic import read_all

SHIPPED = Path(__file__).parents[2] / "config.yaml"
HOSTS = ("host-00", "host-01", "host-02")


def produced(bootstrap: str, topic: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "detector", "demo", "--fleet", "--produce", topic, "--config", str(SHIPPED)]
    environ = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": bootstrap}
    return subprocess.run([*command, *arguments], env=environ, capture_output=True, text=True, timeout=120, check=False)


def test_a_fleet_is_written_that_the_shipped_configuration_reads(broker: Cluster) -> None:
    topic, began = broker.create_topic(), time.time()
    done = produced(broker.bootstrap, topic, "--hosts", "3", "--speed", "3600", "--seconds", "3")
    assert done.returncode == 0, done.stderr
    records = read_all(broker.bootstrap, topic)
    assert done.stdout.splitlines()[-1].startswith(f"{len(records):,} events in ")
    decoded = decoding.build(load(SHIPPED).events).decode(records)
    assert decoded.rejects == []
    assert len(decoded.rows) == len(records)
    assert decoded.rows.entities == [record.key.decode() for record in records]
    counted = Counter(decoded.rows.entities)
    assert set(counted) == set(HOSTS)
    assert len(set(counted.values())) == 1
    assert counted["host-00"] > 1440, "the first day comes at once, and then the next"
    begin = float(decoded.rows.times[3 * 1440])
    assert began < begin < began + 60
    assert begin - decoded.rows.times[0] == 24.0
    assert (decoded.rows.times <= [record.timestamp / 1000 + 0.01 for record in records]).all()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fleet", "--produce", "no topic"], "--produce: found 'no topic', expected the name of a Kafka topic"),
        (["--produce", "t"], "--produce goes with --fleet"),
        (["--fleet", "--json", "--produce", "t"], "--json goes with --fleet, and not with --produce"),
        (["--fleet", "--speed", "2"], "--speed goes with --fleet --produce TOPIC"),
        (["--fleet", "-c", "a.yaml"], "--config goes with --fleet --produce TOPIC: a demo by itself brings all that"),
        (["--config", "a.yaml"], "--config goes with --fleet --produce TOPIC"),
        (["--fleet", "--set", "model.relations=perhaps"], "found `perhaps`, expected 'auto' or true or false"),
    ],
)
def test_what_cannot_be_produced_is_told(arguments: list[str], said: str) -> None:
    command = [sys.executable, "-m", "detector", "demo", *arguments]
    environ = {**os.environ, "COLUMNS": "200", "DETECTOR_CONFIG": str(SHIPPED)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
