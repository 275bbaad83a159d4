"""What a slot keeps of its incident, and how it is told."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np

from detector.models.progress import Anomaly, Transition
from detector.models.region import Region
from detector.types import Float32, Float64, Phase, Position, Reason, Severity

KIND = "anomaly"

_FIELDS: tuple[tuple[str, str], ...] = (
    ("offset", "i8"),
    ("row", "i4"),
    ("sequence", "i4"),
    ("start", "f8"),
    ("told", "f8"),
    ("interval", "f8"),
    ("loud", "f8"),
    ("least", "f8"),
    ("rows", "i8"),
    ("count", "i8"),
    ("history", "i8"),
    ("quiet", "i4"),
    ("stray", "i4"),
    ("burst", "i8"),
    ("capped", "?"),
    ("critical", "?"),
)


def state_of(features: int) -> np.dtype[Any]:
    """Return what a slot keeps of its incident; all zero = none.

    offset, row  of the row that opened it       sequence  messages so far
    start        that row's event time           told      partition's event time of the last message
    loud         partition's event time of the last row at or beyond the lower threshold that broke the calm
    rows         rows from the one that opened it on, and `quiet` those behind that one: of them `stray` are at or
                 beyond the lower threshold, by chance
    interval     usual one between the slot's rows, as of the first
    count        rows at or beyond the threshold, `burst` those of its burst, and `least` the least rate of all
    capped       whether the reference supported no lesser one
    critical     the severity last told          history   a bit for each of the last rows, while there is no incident
    shares       float64 [D] sums over the counted rows
    region       float64 [4 D] where its rows lie, as sums: D each of the first row's values; then of the values'
                 offsets from those the weight, the weighted sum and that of the squares
    """
    return np.dtype([*_FIELDS, ("shares", "f8", (features,)), ("region", "f8", (4 * features,))])


def shares_of(parts: Float32) -> Float64:
    """Return features' shares of the squared distance [n, D] from their parts of it; each row adds up to 1."""
    wide = parts.astype(np.float64)
    shares: Float64 = wide / np.maximum(wide.sum(1, keepdims=True), np.finfo(np.float64).tiny)
    return shares


class Facts(msgspec.Struct, frozen=True, array_like=True):
    """An incident apart from its slot; `shares` are means over the counted rows, which lie about `centre`.

    `labels` are those of the row that opened it.
    """

    entity: str
    first: tuple[int, int]
    sequence: int
    start: float
    least: float
    capped: bool
    critical: bool
    count: int
    shares: list[float]
    centre: list[float] = []
    spread: list[float] = []
    labels: dict[str, str] = {}

    @classmethod
    def of(cls, entity: str, state: np.void, region: Region, labels: dict[str, str]) -> Self:
        """Take them from a slot's state."""
        count = int(state["count"])
        return cls(
            entity,
            (int(state["offset"]), int(state["row"])),
            int(state["sequence"]),
            float(state["start"]),
            float(state["least"]),
            bool(state["capped"]),
            bool(state["critical"]),
            count,
            (state["shares"] / count).tolist(),
            region.centre.tolist(),
            region.spread.tolist(),
            labels,
        )


class Ending(msgspec.Struct, frozen=True, array_like=True):
    """An incident that ended where no row was at hand to tell it by."""

    facts: Facts
    reason: Reason


def without_shares(ending: Ending) -> Ending:
    """Return an incident without its shares and its region: the features have changed."""
    return Ending(msgspec.structs.replace(ending.facts, shares=[], centre=[], spread=[]), ending.reason)


class Place(NamedTuple):
    """The row that a transition is told by: its position, its event time, and the partition's behind it.

    anomaly  what there is to say of it, where it is the entity's own
    """

    position: Position
    time: float
    partition_time: float
    anomaly: Anomaly | None = None


def transition(facts: Facts, phase: Phase, reason: Reason | None, at: Place, features: int) -> Transition:
    """Return what happened to an incident; `features` is how many there are now: they may have changed since."""
    known = len(facts.shares) == features
    return Transition(
        kind=KIND,
        phase=phase,
        reason=reason,
        entity=facts.entity or None,
        position=at.position,
        time=at.time,
        severity=Severity.CRITICAL if facts.critical else Severity.WARNING,
        first=Position(*facts.first),
        sequence=facts.sequence,
        start=facts.start,
        duration=max(at.partition_time - facts.start, 0.0),
        peak=0.0 - math.log10(facts.least),
        peak_at_least=facts.capped,
        count=facts.count,
        shares=np.array(facts.shares) if known else np.zeros(features),
        region=Region(np.array(facts.centre), np.array(facts.spread)) if known and facts.centre else None,
        anomaly=at.anomaly,
        labels=facts.labels,
    )
