from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from detector.control.commands import WAITING, Commands
from detector.errors import CommandError, DetectorError, NotMineError
from tests.support.broker import wait_until


class Asked:
    """A command that somebody asks on a thread of its own."""

    def __init__(self, commands: Commands, name: str, seconds: float = 30.0, **payload: Any) -> None:
        self.result: dict[str, Any] | None = None
        self.error: Exception | None = None

        def ask() -> None:
            try:
                self.result = commands.ask(name, payload, seconds)
            except DetectorError as error:
                self.error = error

        self._thread = threading.Thread(target=ask)
        self._thread.start()

    def over(self) -> Asked:
        self._thread.join(30.0)
        assert not self._thread.is_alive()
        return self


@pytest.fixture
def commands() -> Commands:
    commands = Commands()
    commands.register("echo", lambda payload: {"said": payload["say"], "on": threading.get_ident()})
    return commands


def until_waiting(commands: Commands, count: int = 1) -> None:
    wait_until(lambda: len(commands._pending) == count, "the commands wait")


def test_a_command_runs_on_the_thread_that_runs_what_waits_and_only_then(commands: Commands) -> None:
    asked = Asked(commands, "echo", say="hello")
    until_waiting(commands)
    assert asked.result is None
    commands.run_pending()
    assert asked.over().result == {"said": "hello", "on": threading.get_ident()}


def raising(error: Exception) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def run(_: dict[str, Any]) -> dict[str, Any]:
        raise error

    return run


@pytest.mark.parametrize("error", [CommandError("wrong"), NotMineError("another's"), DetectorError("no room")])
def test_what_a_command_raises_goes_to_its_asker_and_the_next_one_runs(commands: Commands, error: Exception) -> None:
    commands.register("raises", raising(error))
    first = Asked(commands, "raises")
    until_waiting(commands)
    second = Asked(commands, "echo", say="on")
    until_waiting(commands, 2)
    commands.run_pending()
    assert first.over().error is error
    assert second.over().result is not None


def test_a_bug_in_a_command_is_logged_and_told_and_ends_nothing(commands: Commands) -> None:
    commands.register("buggy", raising(ZeroDivisionError("by zero")))
    asked = Asked(commands, "buggy")
    until_waiting(commands)
    with capture_logs() as said:
        commands.run_pending()
    error = asked.over().error
    assert isinstance(error, DetectorError)
    assert "a bug in the daemon" in str(error)
    assert error.exit_code == 1
    assert [(line["event"], line["command"]) for line in said] == [("command_crashed", "buggy")]


def test_an_unknown_command_is_refused_with_those_there_are(commands: Commands) -> None:
    with pytest.raises(CommandError, match=r"^ecko: no command of this daemon \(detector .*\); it knows: echo$"):
        commands.ask("ecko", {}, 1.0)


def test_a_command_that_got_no_turn_in_time_is_never_run(commands: Commands) -> None:
    ran: list[dict[str, Any]] = []

    def keep(payload: dict[str, Any]) -> dict[str, Any]:
        ran.append(payload)
        return {}

    commands.register("set", keep)
    with pytest.raises(CommandError, match=r"no turn for it within 0.01 s, and nothing was done"):
        commands.ask("set", {}, 0.01)
    commands.run_pending()
    assert ran == []


def test_a_command_that_has_begun_in_time_is_waited_for(commands: Commands) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(_: dict[str, Any]) -> dict[str, Any]:
        begun.set()
        assert go_on.wait(30.0)
        return {"done": True}

    commands.register("slow", slow)
    asked = Asked(commands, "slow", seconds=0.2)
    until_waiting(commands)
    main = threading.Thread(target=commands.run_pending)
    main.start()
    assert begun.wait(30.0)
    asked._thread.join(0.5)
    go_on.set()
    main.join(30.0)
    assert asked.over().result == {"done": True}


def test_only_so_many_commands_wait(commands: Commands) -> None:
    waiting = [Asked(commands, "echo", say=n) for n in range(WAITING)]
    until_waiting(commands, WAITING)
    with pytest.raises(CommandError, match="commands wait for the daemon already"):
        commands.ask("echo", {"say": "one more"}, 1.0)
    commands.run_pending()
    results = [asked.over().result for asked in waiting]
    assert sorted(result["said"] for result in results if result) == list(range(WAITING))


def test_a_daemon_that_stops_refuses_what_waits_and_what_comes(commands: Commands) -> None:
    asked = Asked(commands, "echo", say="late")
    until_waiting(commands)
    commands.close()
    assert "the daemon is stopping; nothing was done" in str(asked.over().error)
    with pytest.raises(CommandError, match="the daemon is stopping"):
        commands.ask("echo", {}, 1.0)
