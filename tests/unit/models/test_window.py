from __future__ import annotations

import numpy as np
import pytest

from detector.models.bank import Bank
from detector.models.blocks import Block
from detector.models.shape import Shape
from detector.models.slots import Slots
from detector.models.window import Reservoir, Window, WindowLimits
from detector.types import Bool
from tests.support.models import PARTITION

ROW_BYTES = 4 * 2 + 24


class Stream:
    """Blocks of one partition's entities, offered to a window."""

    def __init__(self, limits: WindowLimits) -> None:
        self.bank = Bank(Shape(2, 3, 16, keyed=True), 8)
        self.slots = Slots(self.bank, 100, lambda _: {})
        self.window = Window(PARTITION, self.bank, self.slots, limits)
        self.number = 0

    def offer(self, entities: list[str], values: float, time: float, apart: Bool | None = None) -> None:
        slots = self.slots.find(entities)
        rows = np.full((len(entities), 2), values, np.float32)
        kept = np.zeros(len(entities), np.bool_) if apart is None else apart
        self.window.offer(Block(self.number, rows, slots, np.ones(len(rows), np.bool_), time), ~kept, kept)
        self.number += 1


def limits(rows: int = 100, size: int = 1 << 20, half_life: float = 1000.0, entities: int = 50) -> WindowLimits:
    return WindowLimits(rows, size, half_life, entities)


def test_each_entity_keeps_so_many_rows_at_most_and_they_are_its_own() -> None:
    stream = Stream(limits(rows=100))
    for time in range(400):
        stream.offer(["a", "a", "b"], float(time), float(time))
    samples = stream.window.normal(1)
    assert {entity: len(sample.rows) for entity, sample in samples.items()} == {"a": 100, "b": 100}
    assert (samples["a"].rows[:, 0] == samples["a"].times).all()


def test_a_row_is_half_as_likely_to_stay_after_each_half_life() -> None:
    stream = Stream(limits(rows=400, half_life=200.0))
    for time in range(1000):
        stream.offer(["a"] * 16, float(time), float(time))
    times = stream.window.normal(1)["a"].times
    newest, before = (times >= 800).sum(), ((times >= 600) & (times < 800)).sum()
    assert 0.4 < before / newest < 0.62
    assert (times < 400).sum() > 10  # old ones stay too


def test_all_rows_together_stay_within_the_memory_given() -> None:
    stream = Stream(limits(rows=10_000, size=4096 * ROW_BYTES))
    for time in range(600):
        stream.offer([f"host-{i}" for i in range(16)], float(time), float(time))
    reservoirs = (stream.window._normal, stream.window._apart)
    held = sum(array.nbytes for each in reservoirs for array in (each._entities, each._rows, each._times, each._keys))
    assert held <= 4096 * ROW_BYTES
    kept = sum(len(sample.rows) for sample in stream.window.normal(1).values())
    assert kept == (4096 - 512) // 2


def test_rows_kept_apart_are_no_part_of_the_window() -> None:
    stream = Stream(limits())
    stream.offer(["a"] * 8, 1.0, 1.0, apart=np.arange(8) < 3)
    assert len(stream.window.normal(1)["a"].rows) == 5
    assert len(stream.window.apart()["a"].rows) == 3


def test_a_slot_that_has_become_another_entitys_does_not_mix_their_rows() -> None:
    stream = Stream(limits())
    stream.offer(["a"], 1.0, 1.0)
    stream.bank.last_seen[stream.slots.resident["a"]] = 1.0
    stream.slots.forget(before=2.0)
    stream.offer(["b"], 2.0, 2.0)
    assert stream.slots.resident == {"b": 0}
    samples = stream.window.normal(1)
    assert samples["a"].rows.tolist() == [[1.0, 1.0]]
    assert samples["b"].rows.tolist() == [[2.0, 2.0]]


def test_with_too_many_entities_nothing_is_kept() -> None:
    stream = Stream(limits(entities=3))
    stream.offer(["a", "b", "c"], 1.0, 1.0)
    assert len(stream.window.normal(1)) == 3
    stream.offer(["d"], 1.0, 1.0)
    assert stream.window.normal(1) == {}


def test_only_entities_with_enough_rows_are_given() -> None:
    stream = Stream(limits())
    stream.offer(["a"] * 10 + ["b"] * 2, 1.0, 1.0)
    assert list(stream.window.normal(5)) == ["a"]


def test_the_log_decides_what_is_kept() -> None:
    one, other = Stream(limits(rows=10)), Stream(limits(rows=10))
    for stream in (one, other):
        for time in range(50):
            stream.offer(["a"] * 4, float(time), float(time))
    assert one.window.normal(1)["a"].rows.tobytes() == other.window.normal(1)["a"].rows.tobytes()


@pytest.mark.parametrize("number_of_entities", [1, 7, 200], ids=["one entity", "crowded entities", "many entities"])
def test_a_reservoir_keeps_the_largest_keys_though_it_takes_in_only_what_can_stay(number_of_entities: int) -> None:
    rng = np.random.default_rng(3)
    reservoir = Reservoir(1, 300, 4000)
    entities, keys = rng.integers(0, number_of_entities, 60_000), rng.gumbel(size=60_000)
    for part in np.split(np.arange(60_000), 300):
        reservoir.add(entities[part], keys[part, None].astype(np.float32), keys[part], keys[part])
    kept = {entity: sample.times.tolist() for entity, sample in reservoir.samples().items()}
    of_each = {entity: np.sort(keys[entities == entity])[::-1][:300] for entity in range(number_of_entities)}
    least = np.sort(np.concatenate(list(of_each.values())))[-2000:][0]
    assert kept == {entity: best[best >= least].tolist() for entity, best in of_each.items()}
