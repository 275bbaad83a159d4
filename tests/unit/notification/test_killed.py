"""A worker that dies before or after any commit of the way out: everything arrives, under the same ids."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from detector.errors import StoreError
from detector.store.connection import Connection
from detector.types import Attempt, OutboxEntry, Outcome, Position
from tests.support.notification import Kept, Scene, alert

NewScene = Callable[..., Scene]
STEPS = [
    ([alert("a"), alert("b")], 5.0),
    ([alert("a", 2, "update", severity="critical"), alert("b", 2, "resolve")], 60.0),
]
"""Alerts that are written, and the time that passes then."""


class Death:
    """Comes before or after the commit number `at`: from then on nothing is written and nothing is sent."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = 0
        self.before = False
        self.commits = 0
        self.come = False
        self.armed = True
        self._lock = threading.Lock()
        original = Connection._transaction
        death = self

        @contextmanager
        def transaction(connection: Connection, begin: str) -> Iterator[sqlite3.Connection]:
            death.check()
            with original(connection, begin) as sqlite:
                yield sqlite
                last = begin != "BEGIN" and death.counts(connection)
                if last and death.before:
                    death.come = True
                death.check()
            if last:
                death.come = True
            death.check()

        monkeypatch.setattr(Connection, "_transaction", transaction)

    def counts(self, connection: Connection) -> bool:
        """Count a commit, and tell whether it is the last; what the pipeline writes to a partition's file is none."""
        if not self.armed and connection._file.name != "notification.sqlite":
            return False
        with self._lock:
            self.commits += 1
            return self.commits == self.at

    def check(self) -> None:
        if self.come:
            message = "killed"
            raise StoreError(message)


class Mortal(Kept):
    """A sink whose receiver keeps what it gets; it dies with its worker."""

    def __init__(self, name: str, death: Death) -> None:
        super().__init__(name)
        self._death = death

    def deliver(self, entry: OutboxEntry, attempt: int) -> Attempt:
        return Attempt(Outcome.RETRY, "killed") if self._death.come else super().deliver(entry, attempt)


def received(scene: Scene, death: Death, at: int, *, before: bool) -> dict[str, dict[str, bytes]]:
    """Go through the steps; begin again with another worker where one dies. Returns bodies by sink and id."""
    scene.sinks = {name: Mortal(name, death) for name in scene.sinks}
    death.at, death.before, death.commits, death.come = at, before, 0, False
    open_(scene, death)
    for number, (alerts, seconds) in enumerate(STEPS):
        until_quiet(scene, death)
        death.armed = False
        scene.partition.commit_alerts(alerts, Position(number + 1), 0)
        death.armed = True
        until_quiet(scene, death)
        scene.clock.turn(seconds)
        until_quiet(scene, death)
    scene.close()
    return {name: {entry.id: entry.body for entry in sink.entries} for name, sink in scene.sinks.items()}


def until_quiet(scene: Scene, death: Death) -> None:
    quiet = False
    while not quiet:
        quiet = scene.outward.drain(0.05)
        if death.come:
            begin_again(scene, death)
            quiet = False


def begin_again(scene: Scene, death: Death) -> None:
    scene.close()
    open_(scene, death)


def open_(scene: Scene, death: Death) -> None:
    if death.come:
        death.come, death.at = False, -1
    try:
        scene.open(settled=False)
    except StoreError:  # it dies as it makes the file
        open_(scene, death)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_whoever_dies_at_a_commit_loses_nothing_and_every_message_keeps_its_id(
    new_scene: NewScene,
    monkeypatch: pytest.MonkeyPatch,
    before: bool,  # noqa: FBT001 - a case
) -> None:
    death = Death(monkeypatch)
    expected = received(new_scene(opened=False), death, -1, before=before)
    points = death.commits
    assert [len(expected[sink]) for sink in ("stream", "page")] == [4, 2]
    assert points > 8
    for at in itertools.count(1):
        found = received(new_scene(opened=False), death, at, before=before)
        assert {name: messages.keys() for name, messages in found.items()} == {
            name: messages.keys() for name, messages in expected.items()
        }, f"{at} of {points}"
        assert found["stream"] == expected["stream"], f"{at} of {points}"
        if death.at == at:
            break  # it was never reached
    assert at > points - 3
