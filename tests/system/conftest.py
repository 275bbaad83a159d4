"""Daemons for the tests of this folder; none outlives its test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.broker import Cluster
from tests.support.daemon import Daemon, DaemonFactory


@pytest.fixture
def new_daemon(tmp_path: Path) -> Iterator[DaemonFactory]:
    """Make daemons, each with a folder, a group (DETECTOR_GROUP) and static membership (DETECTOR_INSTANCE_ID)."""
    made: list[Daemon] = []

    def make(
        cluster: Cluster,
        topic: str,
        settings: Mapping[str, Mapping[str, Any] | list[Any]] | None = None,
        **environ: str,
    ) -> Daemon:
        name = f"daemon-{len(made)}"
        defaults = {
            "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
            "DETECTOR_TOPICS": topic,
            "DETECTOR_GROUP": f"{topic}-{name}",
            "DETECTOR_INSTANCE_ID": name,
        }
        made.append(Daemon(tmp_path / name, {**defaults, **environ}, settings or {}))
        return made[-1]

    yield make
    for daemon in made:
        daemon.kill()
