"""What slots add up to, for metrics."""

from __future__ import annotations

import numpy as np
import pytest

from detector.models.bank import Bank
from detector.models.census import Census
from detector.models.learning import FREEZE
from detector.models.shape import Shape
from detector.models.slots import Slots

SHAPE = Shape(features=2, centroids=2, rows=16, keyed=True)


def seeded(slots: int) -> tuple[Bank, Slots]:
    """Return a bank of seeded slots that have learned 10 rows each, two centroids each."""
    bank = Bank(SHAPE, seed_rows=8)
    directory = Slots(bank, slots, lambda _: {})
    found = directory.find([f"e{n}" for n in range(slots)])
    bank.release(found)
    bank.masses[found], bank.rows_learned[found] = 1.0, 10
    return bank, directory


def test_it_counts_the_slots_in_memory() -> None:
    bank, slots = seeded(5)
    bank.rows_learned[1] = 9
    bank.masses[2, 0], bank.modes[3] = 0.0, FREEZE
    found = Census(bank).take(10)
    assert found == (1, 9, {"learn": 4, "freeze": 1, "quarantine": 0})
    bank.last_seen[:5] = 1.0
    slots.forget(2.0)
    assert Census(bank).take(10) == (0, 0, dict.fromkeys(found.learning, 0))


def test_a_slot_that_gathers_seed_rows_is_warming_up() -> None:
    bank, _ = seeded(3)
    bank.clear(np.array([1]))
    bank.rows_learned[1] = 50
    assert Census(bank).take(10).warming_up == 1


def test_of_many_slots_some_are_counted_each_time_and_all_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.models.census._PART", 8)
    monkeypatch.setattr("detector.models.census._AT_ONCE", 2)
    bank, slots = seeded(40)
    census = Census(bank)
    assert [census.take(10).centroids for _ in range(4)] == [32, 64, 80, 80]
    bank.masses[:40] = 0.0
    assert [census.take(10).centroids for _ in range(2)][-1] < 80
    slots.limit = 100
    fresh = slots.find([f"f{n}" for n in range(40)])
    for _ in range(10):
        found = census.take(10)
    assert (found.warming_up, found.centroids) == (len(fresh), 0)
