"""`detector feedback`: what an operator says of an incident becomes a control record of its partition.

The record holds all that its replay needs: where the incident's rows lie, and by what scale their neighbourhood is
measured. An open incident's region is the model's; that of one that is over stands in its last alert.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import structlog

from detector.alerts.ids import alert_id
from detector.control.commands import Commands
from detector.errors import CommandError, NotMineError
from detector.features.layout import column_names, model_features
from detector.models.known import scale_of
from detector.models.region import Region
from detector.models.said import NORMAL, VERDICTS
from detector.models.scale import scales
from detector.models.slots import WHOLE
from detector.owned import Owned
from detector.types import ControlKind, Float64, Partition, Position

log = structlog.get_logger(__name__)

_DEFAULT_SPAN = 30 * 86400.0
"""Seconds of event time for which a pattern is approved where nothing else is said: a blind spot must not outlive its
reason; what is normal for good is learned within that time."""
_NEVER = 253_370_764_800.0
"""The year 9999 in epoch seconds: who means for good says so."""
_IN_FORCE = 256
"""Verdicts that may be in force in one partition: each is held against the rows that it concerns."""
_LEAST_ID = 6
_WORDS_BYTES = 1024


class _Meant(NamedTuple):
    """An incident, where it lies by the model's columns, and whose it is ("" = the partition's)."""

    owned: Owned
    incident: str
    entity: str
    region: Region


class Feedback:
    """Answers `feedback give` and `feedback undo`.

    `last` finds the last alert (its body) of an incident by its id or the beginning of that, None where none is known;
    `heard` is told the incident and what was said of it (None = it is taken back); `now` is the clock of the audit.
    """

    def __init__(
        self,
        owned: Mapping[Partition, Owned],
        *,
        last: Callable[[str], dict[str, Any] | None],
        heard: Callable[[str, str | None, dict[str, Any]], None],
        now: Callable[[], float],
    ) -> None:
        self._owned = owned
        self._last = last
        self._heard = heard
        self._now = now

    def register(self, commands: Commands) -> None:
        """Let them be asked."""
        commands.register("feedback give", self.give)
        commands.register("feedback undo", self.undo)

    def give(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Say of `incident` that it is `normal` or a `fault` (`verdict`), by whom (`by`) and why (`comment`).

        It concerns the incident's own entity, `entity`, or with `everywhere` all of the partition; until `until` (epoch
        seconds of event time), or for `span` seconds from the partition's event time on, or `forever`.
        """
        verdict = payload.get("verdict")
        if verdict not in VERDICTS:
            message = f"feedback: no verdict {verdict!r}; expected one of {', '.join(VERDICTS)}"
            raise CommandError(message)
        meant = self._find(_words(payload, "incident"))
        owned = meant.owned
        others = list(in_force(owned))
        if len(others) >= _IN_FORCE:
            message = f"feedback: {_IN_FORCE} verdicts are in force in {owned.partition} already; undo some of them"
            raise CommandError(message)
        entity = None if payload.get("everywhere") else payload.get("entity") or meant.entity
        self._check_entity(owned, entity)
        for other in others:
            same = other["incident"] == meant.incident and (
                None in {entity, other["entity"]} or entity == other["entity"]
            )
            if same and other["verdict"] != verdict:
                message = (
                    f"feedback: {other['id']} says that {meant.incident} is {other['verdict']}, and is in force: "
                    f"undo it first (`detector feedback undo {other['id']}`)"
                )
                raise CommandError(message)
        own, mean = _scale(owned, meant.entity)
        said = {
            "id": secrets.token_hex(4),
            "incident": meant.incident,
            "verdict": verdict,
            "entity": entity,
            "until": _until(payload, owned, verdict),
            "by": _words(payload, "by"),
            "comment": str(payload.get("comment") or "")[:_WORDS_BYTES],
            "at": self._now(),
            "features": column_names(owned.model.detection.events),
            "centre": _plain(meant.region.centre),
            "scale": _plain(scale_of(meant.region, own, mean)),
        }
        return self._record(owned, said, meant.incident, verdict)

    def undo(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Take back the verdict with the id `feedback`; `by` tells who does."""
        number = _words(payload, "feedback")
        for owned in self._owned.values():
            for said in in_force(owned):
                if said["id"] == number:
                    undone = {"undo": number, "by": _words(payload, "by"), "at": self._now()}
                    return self._record(owned, undone, said["incident"], None)
        message = f"{number}: no verdict of this id is in force here; `detector feedback list` tells those there are"
        raise NotMineError(message)

    def _record(self, owned: Owned, said: dict[str, Any], incident: str, verdict: str | None) -> dict[str, Any]:
        record = owned.control(ControlKind.FEEDBACK, said)
        told = {name: value for name, value in said.items() if name not in {"features", "centre", "scale"}}
        log.info("feedback", partition=str(owned.partition), at_block=record.boundary, **told)
        self._heard(incident, verdict, told)
        return {**told, "incident": incident, "partition": str(owned.partition), "at_block": record.boundary}

    def _find(self, incident: str) -> _Meant:
        if len(incident) < _LEAST_ID:
            message = f"{incident}: expected the id of an incident, or at least its first {_LEAST_ID} digits"
            raise CommandError(message)
        found = [meant for owned in self._owned.values() for meant in _open(owned, incident)]
        if len(found) > 1:
            message = f"{incident}: begins the ids of several open incidents; give more of it"
            raise CommandError(message)
        return found[0] if found else self._over(incident)

    def _over(self, incident: str) -> _Meant:
        """Return an incident that is over, by its last alert."""
        body = self._last(incident)
        if body is None:
            message = (
                f"{incident}: no incident of this id is known here; `detector incidents list` tells those that are"
            )
            raise NotMineError(message)
        partition = Partition(body["topic"], body["partition"])
        owned = self._owned.get(partition)
        if owned is None:
            message = f"{incident}: is of {partition}, which this daemon does not own"
            raise NotMineError(message)
        return _Meant(owned, body["incident"]["id"], body["entity"] or WHOLE, _told(owned, incident, body))

    def _check_entity(self, owned: Owned, entity: str | None) -> None:
        if entity is not None and entity not in owned.model.slots:
            message = (
                f"feedback: {owned.partition} knows no entity {entity!r}; what is said of an incident concerns its own "
                "partition alone"
            )
            raise CommandError(message)


def in_force(owned: Owned) -> Iterator[dict[str, Any]]:
    """Yield the verdicts of a partition that are in force or wait for their boundary, as they were said."""
    model = owned.model
    now = {said.id for said in model.known.said}
    waiting = [record.payload for record in model.waiting if record.kind is ControlKind.FEEDBACK]
    undone = {payload["undo"] for payload in waiting if "undo" in payload}
    to_come = {payload["id"] for payload in waiting if "undo" not in payload}
    for record in owned.controls.of(ControlKind.FEEDBACK):
        if record.payload.get("id") in (now | to_come) - undone:
            yield record.payload


def _open(owned: Owned, incident: str) -> Iterator[_Meant]:
    """Yield the open incidents of a partition whose ids begin so."""
    incidents, bank, slots = owned.model.incidents, owned.model.bank, owned.model.slots
    for slot in incidents.open:
        state = bank.incidents_of(np.array([slot]))[0]
        first = Position(int(state["offset"]), int(state["row"]))
        number = alert_id(owned.topic_id, owned.partition, first, "anomaly")
        region = incidents.region(slot)
        if number.startswith(incident):
            yield _Meant(owned, number, slots.names[slot] or WHOLE, _without_cycles(owned, region))


def _without_cycles(owned: Owned, region: Region) -> Region:
    """Leave the cycles of the time out of a region: a pattern is the same at another hour."""
    centre, spread = region.centre.copy(), region.spread.copy()
    for feature in model_features(owned.model.detection.events):
        if feature.cycle is not None:
            centre[list(feature.columns)] = spread[list(feature.columns)] = np.nan
    return Region(centre, spread)


def _told(owned: Owned, incident: str, body: dict[str, Any]) -> Region:
    """Return the region that an alert tells, by the model's columns."""
    if body["kind"] != "anomaly":
        message = f"{incident}: tells that an entity stopped sending: no row of it could be normal or a fault"
        raise CommandError(message)
    told = {feature["name"]: feature for feature in body["features"]}
    region = Region(*np.full((2, owned.model.shape.features), np.nan))
    for feature in model_features(owned.model.detection.events):
        known = told.get(feature.name, {})
        if feature.cycle is None and known.get("incident_mean") is not None:
            region.centre[feature.columns[0]] = known["incident_mean"]
            region.spread[feature.columns[0]] = known["incident_spread"]
    if np.isnan(region.centre).all():
        message = f"{incident}: where its rows lay is not known any more: the features have changed since"
        raise CommandError(message)
    return region


def _scale(owned: Owned, entity: str) -> tuple[Float64, Float64]:
    """Return by what an entity's features vary, and their means [D]; NaN where it is not known any more."""
    model = owned.model
    slot = int(model.slots.look_up([entity])[0])
    if slot < 0:
        nothing = np.full(model.shape.features, np.nan)
        return nothing, nothing
    bank = model.bank
    variances = bank.within if model.detection.model.scale == "within" else bank.variances
    return scales(bank.means[slot], variances[slot]), bank.means[slot].astype(np.float64)


def _until(payload: dict[str, Any], owned: Owned, verdict: str) -> float | None:
    """Return the event time until which a verdict stands; None = until it is undone, which a fault does by default."""
    time, until, span = owned.model.time, payload.get("until"), payload.get("span")
    if until is None and span is None and not payload.get("forever") and verdict == NORMAL:
        span = _DEFAULT_SPAN
    end = until if until is not None else None if span is None else time + span
    if end is not None and not time < end < _NEVER:
        message = "feedback: `until` must lie behind the partition's event time, and before the year 9999"
        raise CommandError(message)
    return end


def _words(payload: dict[str, Any], name: str) -> str:
    words = payload.get(name)
    if not isinstance(words, str) or not 0 < len(words.encode()) <= _WORDS_BYTES:
        message = f"feedback: expected {name!r} as text of 1 to {_WORDS_BYTES} bytes"
        raise CommandError(message)
    return words


def _plain(values: Float64) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]
