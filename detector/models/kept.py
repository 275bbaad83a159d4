"""Kept events as bytes for the store, and as they are read back.

A body is MessagePack: the model's features, the entities, whose approvals spared rows, and the records as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from detector.features.layout import ModelFeature
from detector.models.became import Became
from detector.models.incident_state import shares_of
from detector.types import Float64, KeptEvents, Position


class Fate(IntEnum):
    """What the model made of a row when its block was complete."""

    OPEN = 0
    LEARNED = 1
    QUARANTINED = 2
    FROZEN = 3
    BARRED = 4
    UNUSABLE = 5


_FIELDS = (
    ("offset", "<i8"),
    ("row", "<i4"),
    ("time", "<f8"),
    ("rate", "<f8"),
    ("alone", "<f8"),
    ("threshold", "<f8"),
    ("distance", "<f4"),
    ("since", "<f8"),
    ("block", "<i8"),
    ("version", "<i4"),
    ("warm", "?"),
    ("ready", "?"),
    ("flagged", "?"),
    ("capped", "?"),
    ("became", "i1"),
    ("fate", "i1"),
    ("spared", "<i2"),
    ("first_offset", "<i8"),
    ("first_row", "<i4"),
)


def record_type(columns: int) -> np.dtype[Any]:
    """Return what is kept of an event of D columns.

    offset, row  its position                 time       event time
    rate         10^-score as it counted      alone      the same for the row by itself, without what spared it
    threshold    score                        since      event time since which the entity was away from normal, or NaN
    warm         whether the entity was known well enough, and `ready` the partition's reference
    capped       whether the reference supported no lesser rate
    became, fate what incidents and the model made of it
    spared       what made its score less: a place among `Kept.by`, -2 = filters, -1 = nothing
    first_...    position of the row that opened the incident that it came within
    observed, expected, parts  [D]
    """
    vectors = (("observed", "<f8", (columns,)), ("expected", "<f4", (columns,)), ("parts", "<f4", (columns,)))
    return np.dtype([*_FIELDS, *vectors])


class Kept(NamedTuple):
    """Some events: their records [n] (see `record_type`), their entities, and whose approvals spared some of them.

    features  of the model that judged them
    """

    features: list[ModelFeature]
    records: NDArray[np.void]
    entities: list[str | None]
    by: list[str]

    def part(self, which: slice) -> Kept:
        """Return some of them."""
        return self._replace(records=self.records[which], entities=self.entities[which])


def joined(kept: Sequence[Kept]) -> list[Kept]:
    """Put those together that one model judged, so that few remain."""
    groups: list[list[Kept]] = []
    for each in kept:
        if groups and groups[-1][0].features is each.features and groups[-1][0].by == each.by:
            groups[-1].append(each)
        else:
            groups.append([each])
    return [
        Kept(
            group[0].features,
            np.concatenate([each.records for each in group]),
            [entity for each in group for entity in each.entities],
            group[0].by,
        )
        for group in groups
    ]


class _Body(msgspec.Struct, frozen=True, array_like=True):
    features: list[ModelFeature]
    columns: int
    entities: list[str | None]
    by: list[str]
    records: bytes


class SeenFeature(NamedTuple):
    """A feature of a kept event, in its own unit; `observed` None = missing."""

    name: str
    unit: str
    observed: float | None
    expected: float
    share: float


class Event(NamedTuple):
    """A kept event; times are epoch seconds of event time.

    score      as it counted; None where it was not scored; `at_least`: the reference supported no more
    alone      the score by the row itself, where something spared it: `spared` is "filters" or the id of a feedback
    warm       whether its entity was known well enough, and `ready` whether its partition's reference was
    first      position of the row that opened the incident that it came within
    """

    position: Position
    time: float
    entity: str | None
    score: float | None
    at_least: bool
    alone: float | None
    spared: str | None
    threshold: float
    distance: float
    since: float | None
    block: int
    version: int
    warm: bool
    ready: bool
    flagged: bool
    became: Became
    fate: Fate
    first: Position | None
    features: list[SeenFeature]


def encoded(kept: Sequence[Kept]) -> list[KeptEvents]:
    """Return events as the store takes them: those that were told of or could have been, and the others, apart."""
    parts: list[KeptEvents] = []
    for each in kept:
        told = each.records["flagged"] | (each.records["became"] > Became.WITHIN_INCIDENT)
        parts += [part for which in (True, False) if (part := _part(each, told == which, told=which))]
    return parts


def _part(kept: Kept, chosen: Float64, *, told: bool) -> KeptEvents | None:
    at = np.flatnonzero(chosen)
    if not len(at):
        return None
    records = kept.records[at]
    columns = records.dtype["observed"].shape[0]
    entities = [kept.entities[i] for i in at.tolist()]
    body = _encoder.encode(_Body(kept.features, columns, entities, kept.by, records.tobytes()))
    offsets = records["offset"]
    return KeptEvents(int(offsets.min()), int(offsets.max()), len(at), told, body)


def decoded(body: bytes) -> Iterator[Event]:
    """Yield the events of a body; msgspec.DecodeError or ValueError where it is none."""
    found = _decoder.decode(body)
    records = np.frombuffer(found.records, record_type(found.columns))
    for record, entity in zip(records, found.entities, strict=True):
        yield _event(found, record, entity)


def _event(body: _Body, record: np.void, entity: str | None) -> Event:
    spared = int(record["spared"])
    became = Became(int(record["became"]))
    shares = shares_of(record["parts"][None])[0]
    return Event(
        position=Position(int(record["offset"]), int(record["row"])),
        time=float(record["time"]),
        entity=entity,
        score=_score(float(record["rate"])),
        at_least=bool(record["capped"]),
        alone=_score(float(record["alone"])) if spared != -1 else None,
        spared=None if spared == -1 else body.by[spared] if spared >= 0 else "filters",
        threshold=float(record["threshold"]),
        distance=float(record["distance"]),
        since=None if np.isnan(record["since"]) else float(record["since"]),
        block=int(record["block"]),
        version=int(record["version"]),
        warm=bool(record["warm"]),
        ready=bool(record["ready"]),
        flagged=bool(record["flagged"]),
        became=became,
        fate=Fate(int(record["fate"])),
        first=Position(int(record["first_offset"]), int(record["first_row"]))
        if became >= Became.WITHIN_INCIDENT
        else None,
        features=[_feature(feature, record, shares) for feature in body.features],
    )


def _feature(feature: ModelFeature, record: np.void, shares: Float64) -> SeenFeature:
    observed = feature.value(record["observed"])
    seen = None if np.isnan(observed) else observed
    return SeenFeature(feature.name, feature.unit, seen, feature.value(record["expected"]), feature.share(shares))


def _score(rate: float) -> float | None:
    return 0.0 - float(np.log10(rate)) if rate <= 1.0 else None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Body)
