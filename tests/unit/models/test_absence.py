"""Entities that have stopped: waited for by their own pauses, told one by one or together, back or given up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from detector.config.absence import Absence
from detector.features.grouping import Grouped
from detector.models.absence import DEADLINE_BYTES, Absences
from detector.models.absence_state import LISTED, State
from detector.models.bank import Bank
from detector.models.progress import Anomaly, Transition
from detector.models.seen import Seen
from detector.models.shape import Shape
from detector.models.slots import Slots
from detector.types import Phase, Reason
from tests.support.models import small

DAY, START = 86400.0, 1.8e9


def nobody(_: int) -> Anomaly:
    raise AssertionError


class World:
    """A partition's slots and who of them is absent; each call of `say` is a block."""

    def __init__(self, *, keyed: bool = True, **settings: Any) -> None:
        self.detection = replace(small(features=2, keyed=keyed), absence=Absence(**settings))
        self.store: dict[str, bytes] = {}
        self.offset = 0
        self.begin(State())

    def begin(self, state: State) -> None:
        self.bank = Bank(Shape(features=2, centroids=1, rows=16, keyed=True), seed_rows=8)
        self.slots = Slots(self.bank, 10_000, lambda names: {name: self.store[name] for name in names})
        self.absences = Absences(self.bank, self.slots, self.detection, state)

    def say(self, entities: Sequence[str], time: float) -> list[Transition]:
        slots = self.slots.find(entities)
        offsets, times = np.arange(self.offset, self.offset + len(slots)), np.full(len(slots), START + time)
        self.offset += len(slots)
        numbers, yes = np.zeros(len(slots), np.int32), np.ones(len(slots), np.bool_)
        parts, ones = np.zeros((len(slots), 2), np.float32), np.ones(len(slots))
        distances = np.ones(len(slots), np.float32)
        seen = Seen(
            slots, offsets, numbers, times, times, ones, yes, ~yes, ~yes, parts, parts, distances, 0.01, 1e-6, nobody
        )
        told = self.absences.begin_block(seen.first) + self.absences.follow(seen, yes, Grouped.of(slots, times))
        self.bank.last_seen[slots] = times
        return told

    def go_on(self, entities: Sequence[str], start: float, end: float, every: float = 10.0) -> list[Transition]:
        return [each for time in np.arange(start, end, every).tolist() for each in self.say(entities, time)]

    def evict_all(self) -> None:
        slots = self.slots.resident_slots()
        names = [self.slots.names[slot] or "" for slot in slots.tolist()]
        self.store |= dict(zip(names, self.bank.pack(slots), strict=True))
        self.slots.evict(np.inf, np.zeros(0, np.int64), clean=lambda each: each)
        assert not self.slots.resident

    def restart(self) -> None:
        """Go on from what a checkpoint would hold."""
        self.evict_all()
        seen = dict(self.slots.evicted)
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(self.absences.state), type=State)
        self.begin(state)
        self.slots.know(seen.items())
        self.absences.know([(name, packed[:DEADLINE_BYTES]) for name, packed in self.store.items()])


def fleet(n: int) -> list[str]:
    return [f"host-{number}" for number in range(n)]


def known(n: int = 6, **settings: Any) -> World:
    """Return a world in which n hosts have spoken every 10 s for an hour, and are waited for."""
    world = World(**{"known_for": 3000.0, **settings})
    assert world.go_on(fleet(n), 0.0, 3600.0) == []
    return world


def plain(told: list[Transition]) -> list[tuple[str | None, Phase, Reason | None]]:
    return [(each.entity, each.phase, each.reason) for each in told]


def test_who_stops_is_told_of_once_it_has_been_silent_for_too_long() -> None:
    world = known()
    told = world.go_on(fleet(5), 3600.0, 4000.0)
    assert plain(told) == [("host-5", Phase.OPEN, None)]
    assert told[0].start == START + 3590.0
    assert 300.0 <= told[0].time - told[0].start <= 340.0
    assert world.absences.absent == 1
    assert world.go_on(fleet(5), 4000.0, 6000.0) == []


def test_who_speaks_again_is_told_of_by_its_own_row() -> None:
    world = known()
    (opened,) = world.go_on(fleet(5), 3600.0, 5000.0)
    (back,) = world.say(fleet(6), 5000.0)
    assert (back.entity, back.phase, back.reason) == ("host-5", Phase.RESOLVE, Reason.RETURNED)
    assert (back.first, opened.sequence, back.sequence) == (opened.first, 1, 2)
    assert (back.position.offset, back.duration) == (world.offset - 1, 5000.0 - 3590.0)
    assert world.absences.absent == 0
    assert world.go_on(fleet(6), 5010.0, 6000.0) == []


def test_who_stays_away_is_given_up_and_waited_for_again_once_it_is_back() -> None:
    world = known(give_up=2000.0)
    opened, given_up = world.go_on(fleet(5), 3600.0, 9000.0)
    assert (given_up.entity, given_up.phase, given_up.reason) == ("host-5", Phase.RESOLVE, Reason.GIVEN_UP)
    assert 2000.0 <= given_up.time - opened.time < 2100.0
    assert world.absences.absent == 0
    assert world.say(fleet(6), 9000.0) == []
    assert plain(world.go_on(fleet(5), 9010.0, 11_000.0)) == [("host-5", Phase.OPEN, None)]


def test_who_is_not_known_for_long_enough_is_not_waited_for() -> None:
    world = World(known_for=7200.0)
    world.go_on(fleet(6), 0.0, 3600.0)
    assert world.go_on(fleet(5), 3600.0, 20_000.0) == []


def test_a_daily_job_is_waited_for_by_days() -> None:
    """Its rows come minutes apart, and so is its usual pause; but its longest is a day."""
    world, told = World(at_least=1200.0), list[tuple[float, Transition]]()
    for time in np.arange(0.0, 10.5 * DAY, 600.0).tolist():
        job = ["backup"] if time % DAY < 3600.0 and time < 9 * DAY else []
        told += [(time / DAY, each) for each in world.say(["web", "db", "cache", "mail", "dns", *job], time)]
    assert plain([each for _, each in told]) == [("backup", Phase.OPEN, None)]
    assert 9.8 < told[0][0] < 10.1  # two days after its last run, nearly: the pause of the week before has faded a bit


def test_more_than_a_share_at_once_are_one_finding() -> None:
    world = known(10, share=0.2)
    told = world.go_on(fleet(7), 3600.0, 4000.0)
    assert plain(told) == [(None, Phase.OPEN, None)]
    assert (told[0].count, told[0].absent) == (3, ("host-7", "host-8", "host-9"))
    assert world.say(fleet(9), 4000.0) == []  # some are back
    assert world.absences.absent == 1
    assert plain(world.say(fleet(10), 4010.0)) == [(None, Phase.RESOLVE, Reason.RETURNED)]


def test_as_many_as_the_share_are_told_one_by_one() -> None:
    world = known(10, share=0.2)
    told = world.go_on(fleet(8), 3600.0, 4000.0)
    assert plain(told) == [("host-8", Phase.OPEN, None), ("host-9", Phase.OPEN, None)]


def test_of_a_great_many_only_the_first_are_named() -> None:
    world = known(500)
    (told,) = world.go_on(fleet(50), 3600.0, 4000.0)
    assert (told.count, len(told.absent), told.entity) == (450, LISTED, None)


def test_a_pause_of_the_whole_partition_is_nobodys_absence() -> None:
    world = known()
    assert world.say(["host-0"], 90_000.0) == []
    assert world.go_on(fleet(6), 90_010.0, 92_000.0) == []


def test_who_does_not_come_back_after_it_is_absent() -> None:
    world = known()
    assert plain(world.go_on(fleet(5), 90_000.0, 92_000.0)) == [("host-5", Phase.OPEN, None)]


def test_an_entity_that_has_become_slower_is_waited_for_longer_each_time() -> None:
    world, opened = known(), 0
    for hour in range(1, 40):
        told = world.go_on(fleet(5), hour * 3600.0, (hour + 1) * 3600.0) + world.say(
            ["host-5"], (hour + 1) * 3600.0 - 1
        )
        opened += sum(each.phase is Phase.OPEN for each in told)
    assert 1 < opened < 8


def test_an_outage_does_not_hide_the_next_one() -> None:
    world = known()
    world.go_on(fleet(5), 3600.0, 40_000.0)
    world.go_on(fleet(6), 40_000.0, 41_000.0)
    assert plain(world.go_on(fleet(5), 41_000.0, 42_500.0)) == [("host-5", Phase.OPEN, None)]


@pytest.mark.parametrize("when", [3600.0, 3800.0, 4500.0])
@pytest.mark.parametrize("how", ["evict_all", "restart"])
def test_evictions_and_restarts_change_nothing(when: float, how: str) -> None:
    def story(between: Any) -> tuple[list[Transition], bytes]:
        world = known(give_up=3000.0)
        told = world.go_on(fleet(5), 3600.0, when)
        between(world)
        told += world.go_on(fleet(5), when, 5000.0)
        between(world)
        told += world.go_on(fleet(6), 5000.0, 5500.0) + world.go_on(fleet(4), 5500.0, 9500.0)
        return told, msgspec.msgpack.encode(world.absences.state)

    expected, state = story(lambda _: None)
    told, again = story(lambda world: getattr(world, how)())
    assert plain(told) == plain(expected)
    assert [(each.position, each.start) for each in told] == [(each.position, each.start) for each in expected]
    assert again == state
    assert len(expected) > 4


@pytest.mark.parametrize("known_for", [30_000.0, 300.0])
def test_after_another_known_for_those_who_stop_are_told_of_as_before(known_for: float) -> None:
    world = known()
    world.absences.configure(replace(world.detection, absence=Absence(known_for=known_for)))
    assert world.go_on(fleet(6), 3600.0, 3600.0 + 2 * known_for) == []
    told = world.go_on(fleet(5), 3600.0 + 2 * known_for, 4100.0 + 2 * known_for)
    assert plain(told) == [("host-5", Phase.OPEN, None)]


def test_switched_off_nobody_is_absent_and_what_was_open_is_over() -> None:
    world = known()
    world.go_on(fleet(5), 3600.0, 4000.0)
    off = Absence(known_for=3000.0, enabled=False)
    world.absences.configure(replace(world.detection, absence=off))
    assert plain(world.go_on(fleet(4), 4000.0, 9000.0)) == [("host-5", Phase.RESOLVE, Reason.GIVEN_UP)]
    assert world.absences.absent == 0


def test_without_entities_nobody_can_be_absent() -> None:
    world = World(keyed=False, known_for=3000.0)
    assert world.go_on(fleet(6), 0.0, 3600.0) + world.go_on(fleet(3), 3600.0, 9000.0) == []


@pytest.mark.parametrize("keyed", [True, False])
def test_of_a_partition_the_longest_pause_of_late_is_known(*, keyed: bool) -> None:
    world = World(keyed=keyed, known_for=3000.0)
    world.go_on(fleet(3), 0.0, 500.0)
    assert world.absences.state.pause == 10.0
    world.say(fleet(1), 2490.0)
    assert world.absences.state.pause == 2000.0
    world.go_on(fleet(3), 2500.0, 5500.0)
    world.restart()
    assert world.absences.state.pause == pytest.approx(1000.0, rel=0.01), "it counts half after `known_for`"
