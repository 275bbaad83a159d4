"""The way out as the composition root builds it, from the outbox of a partition on, with time turned by hand."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from detector.alerts.ids import alert_id, message_id
from detector.alerts.words import one_line
from detector.config import sections
from detector.notification.grouping import Grouping
from detector.notification.intake import SINK
from detector.notification.muting import Muting
from detector.notification.outward import Outward
from detector.notification.resending import Resending
from detector.notification.rules import NotificationRules, Way
from detector.notification.silences import Silences
from detector.notification.telling import Verdicts
from detector.protocols import Sink
from detector.store.notification import NotificationFile
from detector.store.sqlite import SqliteStore
from detector.types import Attempt, OutboxEntry, Outcome, Partition, Position
from tests.support.alerts import Counts, TurnedClock

PARTITION = Partition("orders", 3)
SETTLED = 30.0


class Tallies(Counts):
    """An observer that counts messages, too."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: Counter[tuple[str, str]] = Counter()
        self.suppressions: Counter[str] = Counter()
        self.silences_active = 0

    def silences(self, active: int) -> None:
        self.silences_active = active

    def notified(self, sink: str, kind: str, count: int = 1) -> None:
        with self._lock:
            self.messages[sink, kind] += count

    def suppressed(self, reason: str, count: int = 1) -> None:
        with self._lock:
            self.suppressions[reason] += count


class Kept:
    """A sink that keeps what it gets."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.entries: list[OutboxEntry] = []
        self.outcome = Outcome.DELIVERED

    def deliver(self, entry: OutboxEntry, attempt: int) -> Attempt:  # noqa: ARG002 - each is the same
        if self.outcome is Outcome.DELIVERED:
            self.entries.append(entry)
        return Attempt(self.outcome, "ok")

    def close(self) -> None:
        """Nothing is held."""

    @property
    def ids(self) -> list[str]:
        return [entry.id for entry in self.entries]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(entry.body) for entry in self.entries]

    def take(self) -> list[dict[str, Any]]:
        """Return the bodies of what has come since the last time."""
        bodies, self.entries = self.bodies, []
        return bodies


def configured(**settings: Any) -> sections.Config:
    """Return a configuration with a sink for people ("page") and a direct one ("stream"), unless others are given."""
    own = {
        "source": {"kind": "computer"},
        "events": {"features": ["cpu", "disk"], "entity": "host"},
        "sinks": [
            {"kind": "stdout", "name": "page", "direct": False},
            {"kind": "stdout", "name": "stream", "direct": True},
        ],
    }
    return sections.Config.model_validate({**own, **settings})


def alert(
    entity: str | None,
    sequence: int = 1,
    phase: str = "open",
    *,
    severity: str = "warning",
    reason: str | None = None,
    partition: Partition = PARTITION,
    offset: int = 0,
    peak: float = 4.0,
    shares: tuple[float, float] = (0.75, 0.25),
    padding: int = 0,
    labels: dict[str, str] | None = None,
) -> OutboxEntry:
    """Return an alert in a partition's outbox; an entity's incidents are told apart by their `offset`."""
    incident = alert_id("topic-id", partition, Position(offset), f"anomaly {entity}")
    reasons = {"open": None, "update": "severity", "resolve": "recovered"}
    body = {
        "schema": 2,
        "kind": "anomaly",
        "id": message_id(incident, sequence),
        "phase": phase,
        "reason": reason or reasons[phase],
        "severity": severity,
        "summary": f"{one_line(str(entity))}: cpu is high",
        "entity": entity,
        "labels": labels or {},
        "epoch": 1_800_000_000.0,
        "topic": partition.topic,
        "partition": partition.number,
        "incident": {"id": incident, "sequence": sequence, "start_epoch": 1_800_000_000.0, "peak_score": peak},
        "features": [
            {"name": "cpu", "incident_share": shares[0]},
            {"name": "disk", "incident_share": shares[1]},
        ],
        **({"padding": "x" * padding} if padding else {}),
    }
    return OutboxEntry(message_id(incident, sequence), SINK, "alert", msgspec.json.encode(body))


class Scene:
    """A store with one partition, a clock, and a worker's way out, which may be closed and opened again."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.clock = TurnedClock()
        self.tallies = Tallies()
        self.config = configured(**settings)
        self.sinks: dict[str, Kept] = {sink.name: Kept(sink.name) for sink in self.config.sinks}
        self.ways: dict[str, Way] | None = None
        self.muting: Muting | None = None
        self.verdicts: Verdicts | None = None
        self.partition = SqliteStore(folder, keep_rejects=10, now=self.clock.now).open(PARTITION)
        self.is_open = False
        self._through = 0

    def open(self, sinks: list[Sink] | None = None, *, settled: bool = True) -> Outward:
        self.file = NotificationFile(self.folder, keep_given_up=10, now=self.clock.now)
        rules = NotificationRules.of(self.config, self.ways)
        silences = Silences(self.file, rules, self.clock, self.tallies)
        muting = self.muting or silences
        self.grouping = Grouping(self.file, rules, self.clock, self.tallies, muting=muting, verdicts=self.verdicts)
        stages = (silences, self.grouping, Resending(self.file, rules, self.clock, self.tallies))
        self.outward = Outward(
            self.file,
            rules,
            stages,
            sinks=sinks if sinks is not None else list(self.sinks.values()),
            letters=[],
            clock=self.clock,
            observer=self.tallies,
        )
        self.outward.attach(self.partition)
        self.is_open = True
        if settled:
            self.settle()
        return self.outward

    def exchange(self, **settings: Any) -> None:
        """Take another configuration, with sinks of the same names where they stay, while it runs."""
        self.config = configured(**settings)
        self.sinks = {sink.name: self.sinks.get(sink.name) or Kept(sink.name) for sink in self.config.sinks}
        self.outward.replace(list(self.sinks.values()))
        self.outward.accept(NotificationRules.of(self.config, self.ways))
        self.settle()

    def close(self) -> None:
        self.is_open = False
        self.outward.close(10.0)
        self.file.close()

    def raise_(self, *entries: OutboxEntry) -> None:
        """Write alerts as an alert commit does, and wait until all that can go out has."""
        self._through += 1
        self.partition.commit_alerts(entries, Position(self._through), 0)
        self.settle()

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.turn(seconds)
        self.settle()

    def settle(self) -> None:
        assert self.outward.drain(SETTLED)

    def got(self, sink: str = "page") -> list[dict[str, Any]]:
        """Return what a sink got since the last time."""
        return self.sinks[sink].take()
