from __future__ import annotations

import gc
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from detector.errors import LogChangedError, RegistryUnavailableError, SourceError, SourceUnavailableError
from detector.service import Service, Signals
from detector.sources.memory import MemoryLog, MemorySource
from detector.telemetry.health import BlockReason, Health
from detector.telemetry.metrics import Metrics
from tests.support.alerts import TurnedClock

# --- signals


def test_a_signal_asks_the_loop_to_end_and_the_old_handlers_return() -> None:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    for number in numbers:
        signals = Signals()
        with signals.caught():
            assert not signals.stop
            signal.raise_signal(number)
            assert signals.stop
        assert [signal.getsignal(each) for each in numbers] == before


def test_sighup_asks_for_a_reload_once_where_there_is_one_and_nothing_changes_elsewhere() -> None:
    before = signal.getsignal(signal.SIGHUP)
    with Signals().caught():
        assert signal.getsignal(signal.SIGHUP) == before
    signals = Signals(reloads=True)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    signal.raise_signal(signal.SIGHUP)  # before it can be taken, as while TensorFlow is imported
    with signals.caught():
        assert [signals.take_reload(), signals.take_reload()] == [True, False]
        signal.raise_signal(signal.SIGHUP)
        assert [signals.take_reload(), signals.take_reload(), signals.stop] == [True, False, False]
    assert signal.getsignal(signal.SIGHUP) == before


LOOP = """
import sys
from detector.service import Signals

signals = Signals()
with signals.caught():
    print("caught", flush=True)
    while not signals.stop or "deaf" in sys.argv:
        pass
print("ended in order")
"""


def loop(*arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", LOOP, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "caught\n"
    return process


def test_a_first_sigterm_lets_the_process_end_in_order() -> None:
    process = loop()
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == "ended in order\n"
    assert process.returncode == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_process_at_once(second: signal.Signals) -> None:
    process = loop("deaf")
    while process.poll() is None:  # two of one kind may arrive as one
        process.send_signal(second)
    assert process.communicate(timeout=30)[0] == ""
    assert process.returncode == 128 + second


# --- the loop


class Source(MemorySource):
    """Counts what it is told."""

    def __init__(self) -> None:
        super().__init__(MemoryLog())
        self.told: list[str] = []

    def pause(self) -> None:
        self.told.append("pause")
        super().pause()

    def resume(self) -> None:
        self.told.append("resume")
        super().resume()


class Loop:
    """A service whose turns do what a test says, one after the other; it ends behind the last."""

    def __init__(self) -> None:
        self.clock = TurnedClock()
        self.metrics = Metrics()
        self.health = Health(self.metrics.blocked, self.clock.monotonic)
        self.source = Source()
        self.waits: dict[BlockReason, str] = {}
        self.surveys: list[float] = []
        self.ready: list[dict[BlockReason, str]] = []
        self.commands: list[int] = []
        self._turns: list[Callable[[], object]] = []
        self._service = Service(
            self,
            self.source,
            self.health,
            self.clock,
            waits=lambda: dict(self.waits),
            survey=lambda: self.surveys.append(self.clock.monotonic()),
            commands=lambda: self.commands.append(len(self.ready)),
        )

    def turn(self, timeout: float) -> int:
        assert timeout > 0
        self.ready.append(self.health.ready()[1])
        self._turns.pop(0)()
        return 0

    def run(self, *turns: Callable[[], object]) -> None:
        self._turns = list(turns)
        self._service.run(lambda: not self._turns)

    def run_until_exhausted(self, *turns: Callable[[], object]) -> int:
        """Return how many of the turns were not made."""
        self._turns = list(turns)
        self._service.run(lambda: False)
        return len(self._turns)


def nothing() -> None:
    """Let the turn pass."""


def away(error: type[SourceError], text: str) -> Callable[[], None]:
    def fail() -> None:
        raise error(text)

    return fail


def test_it_is_ready_from_the_first_turn_and_alive_as_long_as_it_turns() -> None:
    loop = Loop()
    assert loop.health.ready()[1].keys() == {BlockReason.STARTING}
    loop.run(lambda: loop.clock.turn(59.0), lambda: loop.clock.turn(59.0), nothing)
    assert loop.ready == [{}, {}, {}]
    assert loop.health.alive()


def test_it_ends_when_it_is_asked_to_or_when_nothing_more_will_come() -> None:
    loop = Loop()
    loop.run()
    assert loop.ready == []
    assert loop.run_until_exhausted(nothing, loop.source.finish, nothing) == 1


def test_it_does_not_end_with_a_batch_in_hand_that_waits_for_the_registry() -> None:
    missing = away(RegistryUnavailableError, "no registry")
    loop = Loop()

    def last() -> None:
        loop.source.finish()
        missing()

    assert loop.run_until_exhausted(last, missing, nothing, nothing) == 1


def test_the_source_is_paused_and_resumed_once_however_long_it_waits_and_for_whatever() -> None:
    loop = Loop()
    store, outbox = {BlockReason.STORE: "no room"}, {BlockReason.OUTBOX: "the receiver is slow"}
    loop.run(
        nothing,
        lambda: loop.waits.update(store),
        nothing,
        lambda: loop.waits.update(outbox),
        lambda: loop.waits.pop(BlockReason.STORE),
        loop.waits.clear,
        nothing,
        nothing,
    )
    assert loop.ready == [{}, {}, store, store, store | outbox, outbox, {}, {}]
    assert loop.source.told == ["pause", "resume"]
    assert loop.metrics.registry.get_sample_value("detector_blocked", {"reason": "store"}) == 0


def test_what_is_waited_for_is_said_once_and_when_it_is_over() -> None:
    loop = Loop()
    waits = {BlockReason.DEAD_LETTERS: "the topic takes nothing"}
    with capture_logs() as said:
        loop.run(
            lambda: loop.waits.update(waits), *[lambda: loop.clock.turn(1.0)] * 20, loop.waits.clear, nothing, nothing
        )
    assert [(line["event"], line["reason"]) for line in said] == [
        ("waiting", "dead_letters"),
        ("going_on", "dead_letters"),
    ]
    assert said[0]["detail"] == "the topic takes nothing"
    assert said[1]["lasted_s"] == 20.0


def test_a_source_that_is_away_is_said_once_and_shown_until_it_is_back() -> None:
    loop = Loop()
    missing = away(SourceUnavailableError, "no broker")
    with capture_logs() as said:
        loop.run(missing, missing, missing, nothing, nothing)
    shown = {BlockReason.SOURCE: "no broker"}
    assert loop.ready == [{}, shown, shown, shown, {}]
    assert [line["event"] for line in said] == ["waiting", "going_on"]
    assert loop.source.told == []  # polling is how it comes back


def test_a_registry_that_is_away_pauses_the_source_which_is_not_away_itself() -> None:
    loop = Loop()
    source, registry = away(SourceUnavailableError, "no broker"), away(RegistryUnavailableError, "no registry")
    loop.run(source, registry, registry, nothing, nothing)
    shown = {BlockReason.REGISTRY: "no registry"}
    assert loop.ready == [{}, {BlockReason.SOURCE: "no broker"}, shown, shown, {}]
    assert loop.source.told == ["pause", "resume"]


def test_the_cycle_collector_leaves_what_was_there_before_the_loop_alone_until_it_ends() -> None:
    before = gc.get_freeze_count(), gc.get_threshold()
    frozen: list[int] = []
    Loop().run(lambda: frozen.append(gc.get_freeze_count()))
    assert frozen[0] > 10_000
    assert (gc.get_freeze_count(), gc.get_threshold()) == before


def test_things_are_surveyed_about_once_a_second() -> None:
    loop = Loop()
    loop.run(*[lambda: loop.clock.turn(0.25)] * 12)
    assert loop.surveys == [0.0, 1.0, 2.0]


def test_commands_run_before_every_turn_whatever_is_waited_for() -> None:
    loop = Loop()
    missing = away(SourceUnavailableError, "no broker")
    loop.run(nothing, missing, lambda: loop.waits.update({BlockReason.STORE: "no room"}), nothing, nothing)
    assert loop.commands == [0, 1, 2, 3, 4]


def test_an_error_that_only_the_operator_can_mend_ends_the_loop() -> None:
    loop = Loop()
    with pytest.raises(LogChangedError, match="made anew"):
        loop.run(away(LogChangedError, "made anew"), nothing)
    assert len(loop.ready) == 1
