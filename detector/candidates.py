"""Between the model and the refit: what of a model's window goes to the process, and what its answer becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from detector.features.layout import column_names
from detector.models.learning import FREEZE
from detector.models.partition import PartitionModel
from detector.models.seeding import draw_key
from detector.models.shadow import Shadow
from detector.models.shape import rules_of
from detector.models.versions import Version
from detector.models.window import Sample
from detector.refit.values import Candidate, Window
from detector.types import Bool, Float32, Float64

_FINDINGS = 20
"""Retrospective findings that are told of one refit, the farthest first."""


class Asked(NamedTuple):
    """What a refit was asked: windows of a partition's entities, made for one version of its model."""

    made_for: int
    samples: dict[str, Sample]
    windows: list[Window]


def ask(model: PartitionModel, least: int) -> Asked:
    """Take the window of every entity that has at least so many rows, is in memory, has centroids and is not frozen."""
    bank, shape, rules = model.bank, model.shape, rules_of(model.detection)
    topic, number = model.partition
    samples: dict[str, Sample] = {}
    windows: list[Window] = []
    for entity, sample in (model.beside.window.normal(least) if model.beside.window else {}).items():
        slot = model.slots.resident.get(entity, -1)
        if slot < 0 or bank.unseeded(np.array([slot]))[0] or bank.modes[slot] == FREEZE:
            continue
        samples[entity] = sample
        windows.append(
            Window(
                sample.rows,
                np.ones(len(sample.rows)),
                bank.means[slot].copy(),
                bank.variances[slot].copy(),
                shape.centroids,
                shape.members,
                within=rules.within,
                own=rules.own,
                seed=draw_key("refit", topic, number, entity, model.open.number) >> 33,
                times=sample.times,
            )
        )
    return Asked(model.model_version, samples, windows)


def propose(model: PartitionModel, entities: Sequence[str], fitted: Sequence[Candidate]) -> Version:
    """Return the candidates as a version of the model: of those entities that are still in memory.

    Their masses add up to what the slot's had, so it goes on learning at the same pace. A centroid defines normal by
    the rule that the model's do: it is among the heaviest, or has won enough rows over a long enough time, as the rows
    of the window tell. Smoothed scores cannot be had from rows out of order: their sketch is the slot's own, by as much
    as the unsmoothed scores have changed, until the shadow has seen some.
    """
    resident = model.slots.resident
    chosen = [i for i, entity in enumerate(entities) if entity in resident]
    slots, kept = np.array([resident[entities[i]] for i in chosen], np.int64), [fitted[i] for i in chosen]
    shape = len(kept), model.shape.all_centroids
    now = Version.of(model.bank, slots, [entities[i] for i in chosen])
    masses = np.array([each.masses for each in kept], np.float32).reshape(shape)
    heavy = _as_heavy(masses, now.masses, model.shape.members)
    return Version(
        now.entities,
        np.array([each.centroids for each in kept], np.float32).reshape(*shape, model.shape.features),
        heavy,
        np.array([each.spreads for each in kept], np.float32).reshape(shape),
        heavy,
        np.array([each.firsts for each in kept]).reshape(shape),
        np.array([each.lasts for each in kept]).reshape(shape),
        np.array([each.within for each in kept], np.float32).reshape(-1, model.shape.features),
        _sketches(model, now.sketches, np.array([each.sketch for each in kept]).reshape(-1, 3)),
    )


def _as_heavy(masses: Float32, held: Float32, members: int) -> Float32:
    """Give each member's masses [n, C] the sum that the slot's own have."""
    by_member = masses.reshape(len(masses), members, -1)
    factor = held.reshape(by_member.shape).sum(2) / np.maximum(by_member.sum(2), 1e-9)
    heavy: Float32 = (by_member * factor[:, :, None]).reshape(masses.shape).astype(np.float32)
    return heavy


def _sketches(model: PartitionModel, held: Float64, alone: Float64) -> Float64:
    """Return the sketches [n, 2, 3] that candidates begin with, from those of their distances [n, 3]."""
    sketches = np.stack([alone, alone], 1)
    if len(model.judging.alphas):
        sketches[:, 0] = held[:, 0]
        sketches[:, 0, :2] *= alone[:, :1] / np.maximum(held[:, 1, :1], 1e-9)
        sketches[:, 0, 2] = np.minimum(held[:, 0, 2], alone[:, 2])
    return sketches


def hindsight(
    model: PartitionModel,
    shadow: Shadow,
    samples: Mapping[str, Sample],
    fitted: Mapping[str, Candidate],
    apart: dict[str, Sample],
) -> dict[str, Any]:
    """Compare what the refit says of the rows with what was said online, as JSON values.

    clusters   found, by entity (a few), and `noise`, the share of rows in none
    agreement  share of the rows of which both say the same: of the window's, none of which was flagged, those that are
               no noise; of those kept apart, the clear ones of which were, those that the candidate flags
    findings   noise whose rate by the candidate is below the target: anomalies that were not flagged when they came;
               the farthest of them, and `overlooked`, how many there are
    """
    target, names = model.budget.rate, shadow.version.entities
    found: list[dict[str, Any]] = []
    for place, entity in enumerate(names):
        candidate, sample = fitted[entity], samples[entity]
        rates = shadow.rates(place, candidate.distances.astype(np.float32))
        overlooked = candidate.noise & (rates <= target)
        found += _findings(model, entity, sample, overlooked, candidate.distances, rates)
    noise = sum(int(fitted[entity].noise.sum()) for entity in names)
    rows = sum(len(samples[entity].rows) for entity in names)
    kept, flagged = shadow.flags(model.program, apart)
    return {
        "rows": rows,
        "noise": noise / max(rows, 1),
        "clusters": {entity: fitted[entity].clusters for entity in names[:_FINDINGS]},
        "agreement": (rows - noise + int(flagged.sum())) / max(rows + int(kept.sum()), 1),
        "findings": sorted(found, key=lambda finding: -float(finding["score"]))[:_FINDINGS],
        "overlooked": len(found),
    }


def _findings(  # noqa: PLR0913, PLR0917 - what a finding is made of
    model: PartitionModel, entity: str, sample: Sample, rows: Bool, distances: Float64, rates: Float64
) -> list[dict[str, Any]]:
    features = column_names(model.detection.events)
    return [
        {
            "severity": "info",
            "entity": entity or None,
            "time": float(sample.times[i]),
            "score": round(float(-np.log10(rates[i])), 2),
            "distance": round(float(distances[i]), 3),
            "values": {
                name: float(value) if np.isfinite(value) else None
                for name, value in zip(features, sample.rows[i].tolist(), strict=True)
            },
        }
        for i in np.flatnonzero(rows).tolist()
    ]
