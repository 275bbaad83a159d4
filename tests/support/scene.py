"""Two hosts whose readings a daemon's parts read, with faults that tests put in, and the operator's end of it."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.app import Models
from detector.config.sections import Alerting
from detector.feedback import Feedback
from detector.protocols import Store
from detector.sources.memory import MemoryLog
from detector.store.memory import MemoryStore
from detector.types import Partition
from tests.support.member import Member, document, event
from tests.support.models import small

PARTITION = Partition("readings", 3)
EPOCH = 1_800_000_000
FAULT, OTHER = np.array([0.0, 40.0, 0.0]), np.array([0.0, 0.0, -40.0])
INCIDENTS = {"open_after": {"rows": 3, "of": 3}, "resolve_after": 5.0, "repeat_interval": 3600.0}
ALERTING = Alerting(false_alarm_rate=1e-3, reference=20_000, warm_up=1000)
DETECTION = small(incidents=INCIDENTS, alerting=ALERTING, gate=1.5)
MODELS = Models(keep_events=10_000)
"""Shared by all scenes of a test run: each program is compiled once."""


def write(log: MemoryLog, seconds: int, fault: NDArray[np.float64] | None = None, *hosts: str) -> None:
    """Append an event a second of each of two hosts; those named have a fault, the same each time but for noise."""
    for _ in range(seconds):
        at = log.end(PARTITION)
        rng = np.random.default_rng(at)
        for host in ("a", "b"):
            values = 50.0 + rng.normal(size=3) + (fault if fault is not None and host in hosts else 0.0)
            log.append(PARTITION, document(event(host, *values.tolist())), timestamp=1000 * (EPOCH + at // 2))


class Scene:
    """A member that reads a log as it grows, and the operator's end of it. `heard` is what was said, of what."""

    def __init__(self, store: Store | None = None, quiet: int = 2500) -> None:
        self.log, self.store = MemoryLog(), store or MemoryStore(keep_rejects=10)
        self.member = Member(self.log, self.store, DETECTION, models=MODELS)
        self.last: dict[str, dict[str, Any]] = {}
        self.heard: list[tuple[str, str | None]] = []
        self.feedback = Feedback(
            self.member.ownership.owned,
            last=self.last.get,
            heard=lambda incident, verdict, _: self.heard.append((incident, verdict)),
            now=lambda: 1e9,
        )
        self.go_on(quiet)

    def go_on(self, seconds: int, *fault: Any) -> list[dict[str, Any]]:
        """Write and read on; returns the incidents that were told of meanwhile, by their last alert so far."""
        before = len(alerts(self.member))
        write(self.log, seconds, *fault)
        self.member.read(PARTITION)
        new = {alert["incident"]["id"]: alert for alert in alerts(self.member)[before:]}
        self.last |= new
        return list(new.values())

    def give(self, incident: str, verdict: str = "normal", **more: Any) -> dict[str, Any]:
        """Say something of an incident."""
        return self.feedback.give({"incident": incident, "verdict": verdict, "by": "ada", **more})


def alerts(member: Member) -> list[dict[str, Any]]:
    """Return the alerts in the outbox, in order."""
    if PARTITION not in member.ownership.owned:
        return []
    store = member.owned(PARTITION).store
    assert member.writer.drain(store, 30.0)
    return [json.loads(queued.entry.body) for queued in store.due("sink", math.inf, 10_000)]
