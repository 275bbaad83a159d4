"""What is kept of who is absent, and how it is told."""

from __future__ import annotations

import math
from itertools import islice

import msgspec
import numpy as np

from detector.models.incident_state import Place
from detector.models.progress import Transition
from detector.types import Phase, Position, Reason, Severity

KIND = "absence"

LISTED = 100
"""Entities of a finding that are named; the others are counted."""


class Absent(msgspec.Struct, array_like=True):
    """A finding that is open: `entities` are still absent, of `count` in all; a `single` one bears its entity's name.

    first    position of the row that told it
    noticed  event time as of which it was, and `since` that at which the first of them was last seen
    """

    first: tuple[int, int]
    noticed: float
    since: float
    count: int
    single: bool
    entities: dict[str, None]


class State(msgspec.Struct, array_like=True):
    """What a checkpoint's header keeps; event times of the partition.

    findings  that are open, and `gone` those that are over without having been told yet
    heard     at the last row
    judged    up to which deadlines were judged, and `due` from which on they are next
    spoke     at the first row of the last block, and `pause`, the longest between two of late, seconds: it counts half
              after `absence.known_for`
    """

    findings: list[Absent] = []
    gone: list[Absent] = []
    heard: float = -math.inf
    judged: float = -math.inf
    due: float = -math.inf
    spoke: float = -math.inf
    pause: float = 0.0


def transition(finding: Absent, phase: Phase, reason: Reason | None, at: Place) -> Transition:
    """Return what happened to a finding."""
    names = tuple(islice(finding.entities, LISTED))
    return Transition(
        kind=KIND,
        phase=phase,
        reason=reason,
        entity=names[0] if finding.single else None,
        position=at.position,
        time=at.time,
        severity=Severity.WARNING,
        first=Position(*finding.first),
        sequence=1 if phase is Phase.OPEN else 2,
        start=finding.since,
        duration=max(at.partition_time - finding.since, 0.0),
        peak=0.0,
        peak_at_least=False,
        count=finding.count,
        shares=np.zeros(0),
        anomaly=None,
        absent=names,
    )
