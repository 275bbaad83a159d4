from __future__ import annotations

from structlog.testing import capture_logs

from detector.idle import Idle, Reading
from detector.types import Partition, Position
from tests.support.alerts import TurnedClock


class Watch:
    def __init__(self) -> None:
        self.clock, self.told = TurnedClock(), dict[Partition, float]()
        self.idle = Idle("auto", self.clock.monotonic, self.told.__setitem__)
        self.one = Reading(Partition("metrics", 1), Position(5))

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
    watch.one = watch.one._replace(position=Position(6))
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


def test_what_pauses_for_hours_is_idle_when_it_has_paused_for_twice_as_long_unless_something_else_is_said() -> None:
    watch = Watch()
    watch.one = watch.one._replace(pause=3600.0)
    assert [watch.after(seconds) for seconds in (0, 3700, 3499)] == [[], [], []]
    assert watch.told == {watch.one.partition: 0.0}
    assert watch.after(1) == ["partition_idle"]
    watch.idle.accept(100.0)
    watch.one = watch.one._replace(position=Position(6))
    assert [watch.after(seconds) for seconds in (1, 99, 1)] == [["partition_speaks_again"], [], ["partition_idle"]]
