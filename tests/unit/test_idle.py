from __future__ import annotations

from dataclasses import dataclass

from structlog.testing import capture_logs

from detector.idle import Idle
from detector.types import Partition, Position
from tests.support.alerts import TurnedClock


@dataclass
class Read:
    partition: Partition
    position: Position


class Watch:
    def __init__(self) -> None:
        self.clock, self.told = TurnedClock(), dict[Partition, float]()
        self.idle = Idle(600.0, self.clock.monotonic, self.told.__setitem__)
        self.one = Read(Partition("metrics", 1), Position(5))

    def after(self, seconds: float, *, ready: bool = True) -> list[str]:
        self.clock.turn(seconds)
        with capture_logs() as logs:
            self.idle.look([self.one], ready=ready)
        return [entry["event"] for entry in logs]


def test_a_partition_that_does_not_move_is_idle_and_said_so_once() -> None:
    watch = Watch()
    assert [watch.after(seconds) for seconds in (0, 599, 1, 1)] == [[], [], ["partition_idle"], []]
    assert watch.told == {watch.one.partition: 601.0}


def test_it_says_when_records_come_again() -> None:
    watch = Watch()
    watch.after(0)
    watch.after(700)
    watch.one.position = Position(6)
    assert watch.after(1) == ["partition_speaks_again"]
    assert watch.told == {watch.one.partition: 0.0}


def test_time_in_which_the_daemon_waits_does_not_count() -> None:
    watch = Watch()
    watch.after(0)
    assert watch.after(5000, ready=False) == []
    assert watch.after(599) == []
    assert watch.after(1) == ["partition_idle"]


def test_a_partition_that_comes_back_begins_anew() -> None:
    watch = Watch()
    watch.after(0)
    watch.clock.turn(1000)
    watch.idle.look([], ready=True)
    assert watch.after(500) == []
