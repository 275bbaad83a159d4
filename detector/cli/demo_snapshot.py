"""What the demo shows at one moment, as plain values, and how they are written for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from detector.alerts.words import one_line
from detector.types import FeatureShare


@dataclass(frozen=True, slots=True)
class Finding:
    """An event worth showing: when, whose, how surprising, and why. `time` is event time, epoch seconds.

    What was received of an incident has its id, its start, what happened to it (`phase`) and that in words (`what`);
    where the event is another entity's, it has no features, and the incident's peak as its score.
    """

    time: float
    entity: str
    score: float
    at_least: bool
    features: tuple[FeatureShare, ...]
    severity: str = ""
    phase: str = "open"
    incident: str = ""
    start: float = 0.0
    what: str = ""


def received(body: Mapping[str, Any]) -> Finding:
    """Return what there is to show of an alert's JSON (`alerts/alert.schema.json`)."""
    entity = body["entity"] if body["entity"] is not None else f"{body['topic']}/{body['partition']}"
    incident, whole = body["incident"], body["score"] is None
    features = () if whole else body["features"]
    return Finding(
        time=body["epoch"],
        entity=entity,
        score=incident["peak_score"] if whole else body["score"],
        at_least=incident["peak_at_least"] if whole else body["at_least"],
        features=tuple(FeatureShare(f["name"], f["observed"], f["expected"], f["share"]) for f in features),
        severity=body["severity"],
        phase=body["phase"],
        incident=incident["id"],
        start=incident["start_epoch"],
        what=body["summary"].removeprefix(f"{one_line(entity)}: "),
    )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The demo at one moment.

    seconds      wall clock since it began
    state        what it is doing, in a few words: "learning each entity: 60 of 128 events", "watching"
    scores       the highest score of each recent moment, oldest first; the view shows as many as fit
    threshold    the score from which on an event is anomalous
    top          the most surprising event of late, or None before there is one
    alerts       what was received of incidents of late, oldest first; `alert_count` counts all there ever was
    incidents    how many incidents that was of, and how many of them are open
    """

    seconds: float
    state: str
    events: int
    events_per_second: float
    entities: int
    scores: Sequence[float]
    threshold: float
    top: Finding | None
    alerts: Sequence[Finding]
    alert_count: int
    incidents: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is watched, and how to write it: units by feature, and event times (`zone` None = the local one)."""

    title: str
    units: Mapping[str, str]
    time_format: str = "%H:%M:%S"
    zone: tzinfo | None = None

    def when(self, time: float) -> str:
        """Return an event time as people read it."""
        return datetime.fromtimestamp(time, UTC).astimezone(self.zone).strftime(self.time_format)

    def quantity(self, name: str, value: float | None) -> str:
        """Return a feature's value with its unit: "97 %", "1.2 MB/s", "0.31"."""
        return quantity(value, self.units.get(name, ""))

    def told(self, finding: Finding, most: int) -> str:
        """Return what happened to an incident: why it opened, or how it went on."""
        return self.reasons(finding, most) if finding.phase == "open" else finding.what

    def reasons(self, finding: Finding, most: int) -> str:
        """Return the features that matter most: "user 97 % (expected 12 %), system 3 % (expected 1 %)"."""
        return ", ".join(
            f"{one_line(f.name)} {self.quantity(f.name, f.observed)} (expected {self.quantity(f.name, f.expected)})"
            for f in top_features(finding, most)
        )


def top_features(finding: Finding, most: int) -> list[FeatureShare]:
    """Return the features by falling share, without those that hardly count (under 5 %, but for the first)."""
    ranked = sorted(finding.features, key=lambda f: -f.share)[:most]
    return ranked[:1] + [f for f in ranked[1:] if f.share >= 0.05]


def quantity(value: float | None, unit: str) -> str:
    """Return three significant digits and the unit; large bytes and counts with k, M, G or T."""
    if value is None:
        return "missing"
    prefix = ""
    if unit in {"B", "B/s", "1/s"} and abs(value) >= 1000:
        power = min(4, int(math.log10(abs(value)) + 0.00022) // 3)  # 999.6 k is 1 M once rounded
        value, prefix = value / 1000.0**power, " kMGT"[power]
    if 0 < abs(value) < 0.001:
        number = f"{value:.1e}"
    else:
        digits = min(3, 2 - math.floor(math.log10(abs(value)))) if 0 < abs(value) < 100 else 0
        number = f"{value:,.{digits}f}"
        number = number.rstrip("0").rstrip(".") if "." in number else number
    if unit == "1/s":
        return f"{number}{prefix}/s"
    return f"{number} {prefix}{unit}".rstrip()
