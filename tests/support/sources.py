"""The sources that pass the contract suite: add a line to SOURCES to have another one judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from detector.config.sections import ComputerSource as ComputerSection
from detector.config.sections import FileSource as FileSection
from detector.config.sections import Kafka
from detector.config.sections import KafkaSource as KafkaSection
from detector.protocols import Source
from detector.sources.computer import ComputerSource
from detector.sources.file import FileSource
from detector.sources.kafka import KafkaSource
from detector.sources.memory import MemoryLog, MemorySource
from detector.telemetry.clock import SystemClock
from detector.types import Partition
from tests.support.alerts import TurnedClock
from tests.support.broker import Cluster

RECORDS = 300


@dataclass(frozen=True)
class SourceCase:
    """Records to read, and how to make a source that reads them (again, from the start).

    `records` is how many there are, or None where they never end; `ends` whether the source knows when it has had
    them all.
    """

    make: Callable[[], Source]
    records: int | None
    ends: bool


def kafka(request: pytest.FixtureRequest) -> SourceCase:
    cluster: Cluster = request.getfixturevalue("broker")
    topic = cluster.create_topic(partitions=2)
    for number in range(2):
        values = [b"%d" % n for n in range(RECORDS // 2)]
        cluster.produce(
            topic, values, partition=number, key=b"key", headers=[("h", b"x")], timestamp_ms=1_700_000_000_000
        )
    return SourceCase(lambda: kafka_source(cluster, topics=[topic]), RECORDS, ends=False)


def file(request: pytest.FixtureRequest) -> SourceCase:
    path: Path = request.getfixturevalue("tmp_path") / "events.jsonl"
    path.write_text("".join(f'{{"n": {n}}}\n' for n in range(RECORDS)), encoding="utf-8")
    return SourceCase(lambda: FileSource(FileSection(path=path)), RECORDS, ends=True)


def memory(_request: pytest.FixtureRequest) -> SourceCase:
    log, partitions = MemoryLog(), [Partition("events", number) for number in range(2)]
    for n in range(RECORDS):
        log.append(partitions[n % 2], b"%d" % n)
        log.skip(partitions[n % 2], n % 3)

    def make() -> Source:
        source = MemorySource(log, most=20, random=Random(1))
        source.give(*partitions)
        source.finish()
        return source

    return SourceCase(make, RECORDS, ends=True)


def computer(_request: pytest.FixtureRequest) -> SourceCase:
    clock = TurnedClock()
    section = ComputerSection(interval=0.5)
    return SourceCase(lambda: ComputerSource(section, clock, wait=clock.turn), None, ends=False)


SourceCases = dict[str, Callable[[pytest.FixtureRequest], SourceCase]]

LOGS: SourceCases = {"kafka": kafka, "file": file, "memory": memory}
"""Those that can be read again."""
SOURCES: SourceCases = {**LOGS, "computer": computer}


def kafka_source(
    cluster: Cluster,
    kafka: dict[str, Any] | None = None,
    commit_failed: Callable[[], object] = lambda: None,
    **section: Any,
) -> KafkaSource:
    """Return a Kafka source in a group of its own, impatient enough for tests; `section` is its configuration."""
    source = KafkaSection.model_validate({"group": cluster.topic_name("group"), "metadata_max_age": 0.5} | section)
    settings = Kafka.model_validate({"bootstrap_servers": [cluster.bootstrap]} | (kafka or {}))
    return KafkaSource(source, settings, clock=SystemClock(), commit_failed=commit_failed)
