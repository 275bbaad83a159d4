"""The copy of the changed slots: as of its beginning, whatever happens to them meanwhile."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from detector.models.bank import Bank
from detector.models.copying import Copying
from detector.models.shape import Shape
from detector.models.slots import Slots
from detector.types import SlotState

SHAPE = Shape(features=2, centroids=2, rows=16, keyed=True)
NAMES = [f"e{i}" for i in range(50)]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detector.models.copying.PIECE", 8)


class Fixture:
    """Fifty entities, all seen once, and their copying."""

    def __init__(self) -> None:
        self.bank = Bank(SHAPE, seed_rows=8)
        self.slots = Slots(self.bank, 1000, lambda _: {})
        self.copying = Copying(self.bank, self.slots)
        self.change(1.0, *NAMES)

    def change(self, value: float, *names: str) -> None:
        found = self.slots.find(names)
        self.copying.before_change(found)
        self.bank.last_seen[found], self.bank.centroids[found] = value, value

    def states(self) -> dict[str, bytes]:
        return {name: self.bank.pack(np.array([slot]))[0] for name, slot in self.slots.resident.items()}


def by_name(copied: Sequence[SlotState]) -> dict[str, bytes]:
    found = {slot.entity: slot.state for slot in copied}
    assert len(found) == len(copied), "a slot was copied twice"
    return found


def test_a_copy_holds_what_changed_and_the_next_one_only_what_changed_since() -> None:
    fixture = Fixture()
    fixture.copying.begin()
    assert by_name(fixture.copying.rest()) == fixture.states()
    assert fixture.copying.take() is None
    fixture.change(2.0, "e3", "e4", "e3")
    fixture.copying.begin()
    assert [(s.entity, s.last_seen) for s in fixture.copying.rest()] == [("e3", 2.0), ("e4", 2.0)]


def test_it_is_as_of_its_beginning_though_slots_change_and_join_meanwhile() -> None:
    fixture = Fixture()
    before = fixture.states()
    fixture.copying.begin()
    copied = list(fixture.copying.take() or [])
    assert len(copied) == 8
    fixture.change(2.0, "e0", "e30", "e49")
    fixture.change(3.0, "e30", *(f"late-{i}" for i in range(40)))
    copied += fixture.copying.rest()
    assert by_name(copied) == before
    fixture.copying.begin()
    assert {s.entity for s in fixture.copying.rest()} == {"e0", "e30", "e49", *(f"late-{i}" for i in range(40))}


def test_a_slot_forgotten_in_the_middle_of_a_copy_is_in_it_and_not_in_the_next() -> None:
    fixture = Fixture()
    fixture.change(9.0, *NAMES[:40])
    before = fixture.states()
    fixture.copying.begin()
    stale = fixture.slots.stale(5.0)
    fixture.copying.before_change(stale)
    fixture.slots.forget(5.0)
    fixture.copying.released(stale)
    fixture.change(10.0, "somebody else")
    assert by_name(fixture.copying.rest()) == before
    fixture.copying.begin()
    assert [s.entity for s in fixture.copying.rest()] == ["somebody else"]


def test_slots_are_clean_once_their_newest_state_is_durable() -> None:
    fixture = Fixture()
    every = np.arange(50)
    assert len(fixture.copying.clean(every)) == 0
    fixture.copying.begin()
    fixture.copying.rest()
    assert len(fixture.copying.clean(every)) == 0, "copied is not durable yet"
    fixture.change(2.0, "e7")
    fixture.copying.durable()
    assert set(every) - set(fixture.copying.clean(every)) == {7}


def test_a_copy_can_be_handed_on_to_another_bank() -> None:
    fixture = Fixture()
    before = fixture.states()
    fixture.copying.begin()
    fixture.copying.take()
    rest = fixture.copying.rest()
    fresh = Copying(Bank(SHAPE, 8), fixture.slots)
    fresh.resume(rest, ["e1"])
    assert fresh.forgotten == ["e1"]
    assert set(by_name(fresh.rest())) == set(before) - set(NAMES[:8])


def test_copies_are_a_sequence_of_slots() -> None:
    fixture = Fixture()
    fixture.copying.begin()
    copied = fixture.copying.rest()
    assert len(copied) == 50
    assert copied[0].entity == "e0"
    assert copied[3:5] == list(copied)[3:5]
    assert [slot.entity for slot in copied[3:5]] == ["e3", "e4"]
