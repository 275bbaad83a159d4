"""What tests of the model share: small configurations, programs compiled once, rows, and a store that is a dict."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector.config.detection import Detection
from detector.config.sections import (
    Absence,
    Alerting,
    Blocks,
    Entities,
    Events,
    Feature,
    HalfLife,
    Incidents,
    Learning,
    Model,
)
from detector.models.absence import DEADLINE_BYTES
from detector.models.partition import PartitionModel
from detector.models.program import Program, SlotStates, Stack
from detector.models.shape import STACK, Rules, Shape, rules_of, shape_of
from detector.types import Float32, Float64, Partition, Rows

PARTITION = Partition("readings", 3)


def small(
    features: int = 3,
    centroids: int = 4,
    rows: int = 16,
    *,
    keyed: bool = True,
    half_life: HalfLife | None = None,
    seed_rows: int = 24,
    warm_up: int = 20,
    tick: float = 10.0,
    entities: Entities | None = None,
    alerting: Alerting | None = None,
    incidents: dict[str, Any] | None = None,
    learning: Learning | None = None,
    absence: Absence | None = None,
    **model: Any,
) -> Detection:
    """Return a configuration small enough that blocks, seeding, upkeep and alerts all happen within 1,000 rows."""
    return Detection(
        Events(features=[Feature(name=f"f{d}") for d in range(features)], entity="host" if keyed else None),
        Blocks(rows=rows, tick=tick),
        entities or Entities(),
        Model(
            centroids=centroids,
            half_life=half_life or HalfLife(events=500, time=None),
            seed_rows=seed_rows,
            warm_up=warm_up,
            **{"members": 1, "mass": 1.0, "scale": "total", **model},
        ),
        alerting or Alerting(false_alarm_rate=1e-2, reference=1000, warm_up=100),
        Incidents.model_validate(incidents or {"resolve_after": 5.0}),
        learning or Learning(),
        absence or Absence(),
    )


@cache
def compiled(shape: Shape, rules: Rules) -> Program:
    """Return the program of a shape and rules: it is compiled once a test run."""
    return Program(shape, rules)


def programs(detection: Detection) -> Program:
    """Return the program of a configuration."""
    return compiled(shape_of(detection), rules_of(detection))


class DictStore:
    """Slots as the store keeps them: bytes under the entity's name."""

    def __init__(self) -> None:
        self.slots: dict[str, tuple[float, bytes]] = {}

    def load(self, entities: Sequence[str]) -> dict[str, bytes]:
        """Return the states of those entities."""
        return {entity: self.slots[entity][1] for entity in entities}

    def directory(self) -> list[tuple[str, float]]:
        """Return (entity, last seen) of all slots."""
        return sorted((entity, seen) for entity, (seen, _) in self.slots.items())

    def checkpoint(self, model: PartitionModel) -> bytes:
        """Write what changed, and return the header."""
        forgotten, model.copying.forgotten = model.copying.forgotten, []
        header = model.header()
        model.copying.begin()
        for entity in forgotten:
            self.slots.pop(entity, None)
        for slot in model.copying.rest():
            self.slots[slot.entity] = (slot.last_seen, slot.state)
        model.copying.durable()
        return header

    def model(self, detection: Detection, header: bytes | None = None) -> PartitionModel:
        """Return a model that loads from here, restored where there is a header."""
        model = PartitionModel(PARTITION, detection, programs=programs, load=self.load)
        if header is not None:
            heads = [(entity, state[:DEADLINE_BYTES]) for entity, (_, state) in sorted(self.slots.items())]
            model.restore(header, self.directory(), heads)
        return model


def rows(values: ArrayLike, times: ArrayLike | None = None, entities: list[str] | None = None, start: int = 0) -> Rows:
    """Return rows of one record each, one second apart unless `times` says otherwise."""
    values = np.asarray(values, np.float64)
    offsets = np.arange(start, start + len(values), dtype=np.int64)
    at = np.asarray(offsets if times is None else times, np.float64)
    return Rows(offsets, np.zeros(len(values), np.int32), at, values, entities)


def arrays(states: SlotStates) -> list[NDArray[Any]]:
    """Return the arrays of some states, the slot first in each."""
    return [states.centroids, states.traits, states.times]


def no_states(shape: Shape, means: Float32) -> SlotStates:
    """Return the states of new slots, the first of which has begun at those means [D]."""
    n = shape.call_slots + 1
    empty = SlotStates(
        np.zeros((n, shape.all_centroids, shape.features), np.float32),
        np.zeros((n, shape.traits), np.float32),
        np.zeros((n, shape.times)),
    )
    empty.traits[0, 3 * shape.all_centroids : 3 * shape.all_centroids + shape.features] = means
    return empty


def stack(shape: Shape, blocks: Sequence[tuple[Float32, Sequence[int], float]], *, learns: bool = True) -> Stack:
    """Lay out (rows [n, D], slot of each row, time) a block; slots are numbered from 0 and -1 is none.

    In the frame of a full stack; `alone` turns it into that of a small block.
    """
    nobody = shape.call_slots
    grid = (STACK, shape.rows)
    values = np.full((*grid, shape.features), np.nan, np.float32)
    slot = np.full(grid, nobody, np.int32)
    group, present = np.zeros(grid, np.int32), np.full(grid, nobody, np.int32)
    learning, time = np.zeros(grid, np.bool_), np.zeros(STACK)
    for t, (part, slots, at) in enumerate(blocks):
        n = len(part)
        values[t, :n], time[t] = part, at
        slot[t, :n] = np.where(np.array(slots, np.int64) < 0, nobody, slots)
        distinct, inverse = np.unique(slot[t, :n], return_inverse=True)
        present[t, : len(distinct)], group[t, :n] = distinct, inverse
        learning[t, :n] = learns & (slot[t, :n] != nobody)
    return Stack(values, slot, group, present, learning, time, len(blocks))


def alone(shape: Shape, given: Stack, states: SlotStates) -> tuple[Stack, SlotStates]:
    """Return a stack of one small block, and the states of its first slots, in the frame of such a call."""
    small, _ = shape.frames
    last, nobody, n = shape.slots_of(small), shape.call_slots, small[1]
    assert given.blocks == 1
    assert (given.slot[0, n:] == nobody).all()
    slot, present = (
        np.where(field[:1, :n] == nobody, last, field[:1, :n]).astype(np.int32) for field in (given.slot, given.present)
    )
    rows, group, learns = given.rows[:1, :n], given.group[:1, :n], given.learns[:1, :n]
    single = Stack(rows, slot, group, present, learns, given.time[:1], 1)
    return single, SlotStates(*(np.concatenate([array[:last], array[-1:]]) for array in states))


def states(
    shape: Shape, *, centroids: Float64, masses: Float64, means: Float64, variances: Float64, weights: Float64
) -> SlotStates:
    """Pad the states of S slots ([S, C, D], [S, C], [S, D], [S, D], [S, D]) to the program's shape; no spreads.

    Within the clusters features vary as they do in all.
    """
    n, padded = len(centroids), shape.call_slots + 1
    all_centroids = np.zeros((padded, shape.all_centroids, shape.features), np.float32)
    traits = np.zeros((padded, shape.traits), np.float32)
    all_centroids[:n] = centroids
    nothing = np.zeros_like(masses)
    traits[:n, :-1] = np.concatenate([masses, nothing, nothing, means, variances, weights, variances], 1)
    return SlotStates(all_centroids, traits, np.zeros((padded, shape.times)))


class Traits(NamedTuple):
    """The traits of S slots: masses, spreads, wins [S, C]; means, variances, weights, within [S, D]; gates [S]."""

    masses: Float32
    spreads: Float32
    wins: Float32
    means: Float32
    variances: Float32
    weights: Float32
    within: Float32
    gates: Float32


def traits(shape: Shape, states: SlotStates) -> Traits:
    """Return views of the traits by name."""
    c, d = shape.all_centroids, shape.features
    *named, gates = np.split(states.traits, np.cumsum([c, c, c, d, d, d, d]), axis=1)
    masses, spreads, wins, means, variances, weights, within = named
    return Traits(masses, spreads, wins, means, variances, weights, within, gates[:, 0])
