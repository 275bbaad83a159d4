"""Slots: which entity has which, who is evicted, who returns, who is forgotten."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detector.models.bank import Bank
from detector.models.shape import Shape
from detector.models.slots import Slots
from detector.types import Int64

SHAPE = Shape(features=2, centroids=2, rows=16, keyed=True)


class Fixture:
    """Slots over a bank and a store that is a dict."""

    def __init__(self, limit: int = 100) -> None:
        self.stored: dict[str, bytes] = {}
        self.loads: list[list[str]] = []
        self.bank = Bank(SHAPE, seed_rows=8)
        self.slots = Slots(self.bank, limit, self.load)

    def load(self, entities: Sequence[str]) -> dict[str, bytes]:
        self.loads.append(list(entities))
        return {entity: self.stored[entity] for entity in entities}

    def see(self, time: float, *entities: str) -> None:
        self.bank.last_seen[self.slots.find(entities)] = time

    def evict(self, before: float, keep: Sequence[int] = ()) -> int:
        """Store everything, then evict."""
        for entity, slot in self.slots.resident.items():
            self.stored[entity] = self.bank.pack(np.array([slot]))[0]
        return self.slots.evict(before, np.array(keep, np.int64), clean=all_of)


def all_of(slots: Int64) -> Int64:
    return slots


def test_an_entity_keeps_its_slot() -> None:
    fixture = Fixture()
    assert fixture.slots.find(["a", "b", "a", "c"]).tolist() == [0, 1, 0, 2]
    assert fixture.slots.find(["c", "b"]).tolist() == [2, 1]
    assert len(fixture.slots) == 3
    assert "a" in fixture.slots
    assert "z" not in fixture.slots


def test_beyond_the_limit_rows_have_no_slot_and_the_first_come_are_served() -> None:
    fixture = Fixture(limit=2)
    assert fixture.slots.find(["a", "b", "c", "a", "d"]).tolist() == [0, 1, -1, 0, -1]
    assert len(fixture.slots) == 2
    assert fixture.slots.find(["d", "b"]).tolist() == [-1, 1]


def test_the_evicted_count_towards_the_limit_and_return_within_it() -> None:
    fixture = Fixture(limit=2)
    fixture.see(1.0, "a", "b")
    fixture.evict(2.0)
    assert fixture.slots.find(["c"]).tolist() == [-1]
    assert (fixture.slots.find(["b", "a"]) >= 0).all()


def test_an_evicted_entity_returns_with_its_bytes_read_once() -> None:
    fixture = Fixture()
    fixture.see(1.0, "a", "b", "c")
    fixture.bank.centroids[1] = 7.5
    before = fixture.bank.pack(np.array([1]))
    assert fixture.evict(2.0) == 3
    assert len(fixture.slots.resident_slots()) == 0
    fixture.see(3.0, "x", "y")
    slot = fixture.slots.find(["b", "b"])
    assert fixture.loads == [["b"]]
    assert fixture.bank.pack(slot[:1]) == before
    assert fixture.slots.names[slot[0]] == "b"


def test_only_the_idle_the_clean_and_those_not_kept_are_evicted() -> None:
    fixture = Fixture()
    fixture.see(1.0, "idle", "kept", "dirty")
    fixture.see(9.0, "busy")
    kept, dirty = fixture.slots.find(["kept", "dirty"]).tolist()
    evicted = fixture.slots.evict(5.0, np.array([kept]), clean=lambda slots: slots[slots != dirty])
    assert evicted == 1
    assert set(fixture.slots.evicted) == {"idle"}
    assert set(fixture.slots.resident) == {"kept", "dirty", "busy"}


def test_freed_slots_are_used_again_and_begin_empty() -> None:
    fixture = Fixture()
    fixture.see(1.0, "a", "b")
    fixture.bank.rows_learned[0] = 55
    fixture.evict(2.0)
    slot = fixture.slots.find(["new"])
    assert slot[0] in {0, 1}
    assert fixture.bank.rows_learned[slot[0]] == 0


def test_the_forgotten_are_gone_whether_evicted_or_resident() -> None:
    fixture = Fixture()
    fixture.see(1.0, "evicted")
    fixture.evict(2.0)
    fixture.see(3.0, "resident")
    fixture.see(9.0, "recent")
    assert set(fixture.slots.forget(5.0)) == {"evicted", "resident"}
    assert set(fixture.slots.resident) == {"recent"}
    assert not fixture.slots.evicted
    assert fixture.slots.forget(5.0) == []


def test_an_entity_that_was_never_seen_yet_is_not_stale() -> None:
    fixture = Fixture()
    fixture.slots.find(["a"])
    assert len(fixture.slots.stale(1e18)) == 0


def test_looking_up_brings_the_evicted_back_but_admits_nobody() -> None:
    fixture = Fixture()
    fixture.see(1.0, "a")
    fixture.evict(2.0)
    fixture.slots.know([("b", 1.0)])
    assert fixture.slots.look_up(["a", "z"]).tolist() == [0, -1]
    assert fixture.slots.evicted == {"b": 1.0}
