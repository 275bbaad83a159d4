"""What a checkpoint holds of a partition's model beside its slots: how it is written, and taken up again."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from detector.config.detection import Detection
from detector.models.absence import Absences
from detector.models.blocks import usable
from detector.models.header import Header, float64
from detector.models.learning import Learning
from detector.models.parts import Parts
from detector.models.slots import WHOLE


def restore(
    model: Parts, header: bytes, entities: Iterable[tuple[str, float]], heads: Iterable[tuple[str, bytes]] = ()
) -> None:
    """Take up the state of a checkpoint; the entities (name, last seen) return from the store as they are met.

    `heads` are the first bytes of their states, `absence.DEADLINE_BYTES` of each.
    """
    saved = Header.decode(header)
    detection = Detection.from_payload(saved.detection)
    model.learning = Learning(detection.learning, saved.learning)
    model.begin_cold(detection, saved.number, saved.known)
    model.applied, model.model_version, model.upkeep.since = saved.applied, saved.model_version, saved.kept
    model.upkeep.at = -math.inf if saved.kept_at is None else saved.kept_at
    model.time = -math.inf if saved.time is None else saved.time
    model.born = -math.inf if saved.born is None else saved.born
    model.slots.know(entities)
    model.absences = Absences(model.bank, model.slots, detection, saved.absence)
    model.absences.know(heads)
    references = float64(saved.reference), float64(saved.gate_reference)
    model.judging.restore(float64(saved.smoothed), *references, float64(saved.marks), saved.beset)
    rows = np.frombuffer(saved.rows, "<f4").reshape(-1, model.shape.features)
    placed = np.frombuffer(saved.placed, np.bool_)
    slots = np.where(placed, model.slots.look_up(saved.entities), -1)
    can = usable(rows, slots, model.transforms.features)
    model.open = model.open.extended(rows, slots, can, model.time)
    model.faulty = np.frombuffer(saved.faulty, np.bool_)
    model.over = np.frombuffer(saved.over, np.bool_)
    model.budget_by(model.detection, saved.budget)
    model.incidents.restore(saved.incidents, saved.ending, saved.labels)


def header(model: Parts) -> bytes:
    """Return what `restore` takes: the model as of now."""
    slots = model.open.slots.tolist()
    return Header(
        detection=model.detection.to_payload(),
        model_version=model.model_version,
        time=model.time if math.isfinite(model.time) else None,
        applied=model.applied,
        number=model.open.number,
        rows=model.open.rows.astype("<f4").tobytes(),
        entities=[(model.slots.names[slot] if slot >= 0 else None) or WHOLE for slot in slots],
        placed=(model.open.slots >= 0).tobytes(),
        smoothed=model.judging.open_smoothed.astype("<f8").tobytes(),
        faulty=model.faulty.tobytes(),
        over=model.over.tobytes(),
        budget=model.budget.running,
        incidents=model.incidents.entities(),
        ending=model.incidents.ending,
        reference=model.judging.reference.counts.astype("<f8").tobytes(),
        gate_reference=model.judging.gating.counts.astype("<f8").tobytes(),
        marks=model.judging.marks.astype("<f8").tobytes(),
        beset=model.judging.few.share,
        kept=model.upkeep.since,
        kept_at=model.upkeep.at if math.isfinite(model.upkeep.at) else None,
        absence=model.absences.state,
        learning=model.learning.said,
        born=model.born if math.isfinite(model.born) else None,
        known=model.known.said,
        labels=model.incidents.labels_by_entity(),
    ).encode()
