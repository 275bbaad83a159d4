"""The sizes of a model, from the configuration alone: they decide the program's shapes and the bank's layout."""

from __future__ import annotations

from dataclasses import dataclass

from detector.config.detection import Detection

STACK = 16
"""Blocks in one call of the program, at most."""

_CALL_CELLS = 1 << 17
"""Centroid values that one call may carry, at most: beyond, copying them costs more than longer stacks save."""
_CALL_SLOTS = 4096


@dataclass(frozen=True, slots=True)
class Shape:
    """features D, centroids K, rows of a block B; `keyed`: slots are entities, not whole partitions."""

    features: int
    centroids: int
    rows: int
    keyed: bool

    @property
    def call_slots(self) -> int:
        """Distinct slots that one call of the program takes, at most (no less than a block may hold)."""
        if not self.keyed:
            return 1
        fitting = _CALL_CELLS // (self.features * self.centroids)
        return max(self.rows, min(_CALL_SLOTS, fitting))

    @property
    def traits(self) -> int:
        """Width of a slot's traits: masses K, spreads K, means D, variances D, weights D."""
        return 2 * self.centroids + 3 * self.features


def shape_of(detection: Detection) -> Shape:
    """Return the sizes of a configuration's model."""
    events, model = detection.events, detection.model
    return Shape(len(events.features), model.centroids, detection.blocks.rows, keyed=events.entity is not None)


def seed_rows(detection: Detection) -> int:
    """Return how many rows a slot's centroids are seeded from: few with entities, so that a million of them fit."""
    model = detection.model
    if model.seed_rows is not None:
        return model.seed_rows
    return 8 * model.centroids if detection.events.entity is not None else 512


def form(detection: Detection) -> tuple[object, ...]:
    """Return what the state of a slot is made for: a model of another form begins cold."""
    features = tuple((feature.name, feature.path) for feature in detection.events.features)
    return features, detection.events.entity, detection.model.centroids, seed_rows(detection)
