"""Planting: centroids for slots, by their entity's name and never by their number."""

from __future__ import annotations

import numpy as np
import pytest

from detector.models.bank import Bank
from detector.models.planting import Planting
from detector.models.shape import Rules, Shape
from detector.models.slots import Slots
from detector.types import Partition

SHAPE = Shape(features=2, centroids=3, rows=16, keyed=True)
ROWS = np.random.default_rng(1).normal(size=(8, 2)).astype(np.float32)


def planting(*entities: str, number: int = 0, rows: int = 8) -> tuple[Planting, Bank]:
    """Return the planting of a partition whose entities have gathered so many rows of eight."""
    bank = Bank(SHAPE, seed_rows=8)
    slots = Slots(bank, 100, lambda _: {})
    for slot in slots.find(entities).tolist():
        bank.means[slot], bank.variances[slot] = ROWS.mean(0), ROWS.var(0)
        bank.pool.append(np.full(rows, bank.seeds[slot]), ROWS[:rows])
    return Planting(Partition("topic", number), bank, slots, Rules(), np.zeros(0)), bank


def test_a_slot_is_seeded_once_it_has_gathered_its_rows() -> None:
    planted, bank = planting("a", rows=7)
    planted.seed(np.array([0]))
    assert not bank.masses[0].any()
    bank.pool.append(np.array([bank.seeds[0]]), ROWS[7:])
    planted.seed(np.array([0]))
    assert bank.masses[0].sum() == 8
    assert not bank.unseeded(np.array([0]))[0]
    assert bank.pool.used == 0


def test_seeds_go_by_topic_partition_and_entity_not_by_slot_number() -> None:
    planted, bank = planting("a", "b", "c")
    planted.seed(np.arange(3))
    other, elsewhere = planting("c", "b", "a")
    other.seed(np.array([2]))
    other.seed(np.array([1, 0]))
    assert bank.centroids[:3].tobytes() == elsewhere.centroids[2::-1].tobytes()
    draws = [bank.centroids[slot].tobytes() for slot in range(3)]
    neighbour, there = planting("a", number=1)
    neighbour.seed(np.array([0]))
    assert len({*draws, there.centroids[0].tobytes()}) > 1


def test_early_seeding_takes_what_there_is() -> None:
    planted, bank = planting("a", rows=5)
    planted.seed_early(np.array([0]))
    assert bank.masses[0].sum() == 5
    empty, nothing = planting("a", rows=0)
    empty.seed_early(np.array([0]))
    assert nothing.unseeded(np.array([0]))[0]


@pytest.mark.parametrize("block", [64, 128])
def test_dead_centroids_are_split_alike_for_an_entity_whatever_its_slot(block: int) -> None:
    results = []
    for entities in (("a", "b"), ("b", "a")):
        planted, bank = planting(*entities)
        planted.seed(np.arange(2))
        for slot in range(2):
            bank.masses[slot] = [100.0, 50.0, 0.0]
            bank.spreads[slot] = 1.0
        assert planted.split_dead(np.arange(2), block) == 2
        assert planted.split_dead(np.arange(2), block) == 0
        results.append({name: bank.centroids[slot].tobytes() for slot, name in enumerate(entities)})
    assert results[0] == results[1]


def test_slots_that_still_gather_seeds_are_not_split() -> None:
    planted, _ = planting("a")
    assert planted.split_dead(np.array([0]), 64) == 0
