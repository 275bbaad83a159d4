from __future__ import annotations

import pytest

from detector.errors import StoreLockedError
from detector.sources.memory import MemoryLog
from detector.store.memory import MemoryStore
from detector.types import Partition
from tests.support.alerts import TurnedClock
from tests.support.member import Member
from tests.support.models import small

PARTITION = Partition("readings", 3)
EPOCH_MS = 1_800_000_000_000


class RunningClock(TurnedClock):
    """Runs on by so many seconds each time that it is looked at, and does something then."""

    def __init__(self, step: float) -> None:
        super().__init__()
        self._step = step
        self.looks = 0
        self.at_look: dict[int, object] = {}

    def monotonic(self) -> float:
        self.looks += 1
        self.turn(self._step)
        if callable(act := self.at_look.get(self.looks)):
            act()
        return super().monotonic()


def test_a_store_that_another_worker_is_letting_go_of_is_waited_for() -> None:
    store, clock = MemoryStore(keep_rejects=10), RunningClock(0.1)
    held = store.open(PARTITION)
    clock.at_look[3] = held.close
    with Member(MemoryLog(), store, small(), clock=clock) as member:
        member.source.give(PARTITION)
        member.pipeline.turn(0.0)
        assert PARTITION in member.ownership.owned


def test_a_store_that_another_worker_keeps_is_refused_in_the_end() -> None:
    store = MemoryStore(keep_rejects=10)
    held = store.open(PARTITION)
    with Member(MemoryLog(), store, small(), clock=RunningClock(1.0)) as member:
        member.source.give(PARTITION)
        with pytest.raises(StoreLockedError):
            member.pipeline.turn(0.0)
    held.close()
