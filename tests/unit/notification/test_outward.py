from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from detector.errors import StoreError, StoreFullError
from detector.notification.grouping import Grouping
from detector.notification.outward import Outward
from detector.notification.rules import NotificationRules
from detector.store.connection import Connection
from detector.store.notification import NotificationFile
from detector.store.sqlite import SqliteStore
from detector.types import OutboxEntry, Partition, Position
from tests.support.broker import wait_until
from tests.support.notification import Kept, Scene, alert

NewScene = Callable[..., Scene]
OTHER = Partition("orders", 4)


@contextlib.contextmanager
def another(scene: Scene) -> Iterator[tuple[Outward, dict[str, Kept]]]:
    """Open the way out of a second worker of the same folder."""
    file = NotificationFile(scene.folder, keep_given_up=10, now=scene.clock.now)
    rules = NotificationRules.of(scene.config)
    sinks = {name: Kept(name) for name in scene.sinks}
    grouping = Grouping(file, rules, scene.clock, scene.tallies)
    outward = Outward(
        file,
        rules,
        (grouping,),
        sinks=list(sinks.values()),
        letters=[],
        clock=scene.clock,
        observer=scene.tallies,
    )
    try:
        yield outward, sinks
    finally:
        outward.close(10.0)
        file.close()


def _of_notification(connection: Connection) -> bool:
    return connection._file.name == "notification.sqlite"


def commit(scene: Scene, outward: Outward, *entries: OutboxEntry) -> None:
    store = SqliteStore(scene.folder, keep_rejects=10).open(OTHER)
    store.commit_alerts(entries, Position(1), 0)
    outward.attach(store)
    assert outward.drain(20.0)
    outward.detach(OTHER)
    store.close()


@dataclass
class Failing:
    """A method that raises as long as it is `on`."""

    on: bool = True


def failing(
    patch: pytest.MonkeyPatch, owner: type, name: str, error: Exception, where: Callable[[Any], bool] = lambda _: True
) -> Failing:
    """Let a method raise, of the objects that `where` tells, until it is told to stop."""
    fails, original = Failing(), getattr(owner, name)

    def method(self: Any, *arguments: Any) -> Any:
        if fails.on and where(self):
            raise error
        return original(self, *arguments)

    patch.setattr(owner, name, method)
    return fails


def test_what_one_worker_takes_in_the_one_that_notifies_tells_and_another_takes_over(new_scene: NewScene) -> None:
    scene = new_scene()
    stream, page = scene.sinks["stream"], scene.sinks["page"]
    with another(scene) as (outward, sinks):
        commit(scene, outward, alert("b", partition=OTHER))
        wait_until(lambda: len(stream.entries) == 1, "the one that notifies to see what the other has taken in")
        scene.raise_(alert("a"))
        scene.turn(5)
        assert [message["counts"]["firing"] for message in page.bodies] == [2]
        assert [sink.entries for sink in sinks.values()] == [[], []]
        scene.close()
        commit(scene, outward, alert("c", partition=OTHER))
        scene.clock.turn(1.0)
        wait_until(lambda: len(sinks["stream"].entries) == 1, "the other one to take over")
        scene.clock.turn(60.0)
        wait_until(lambda: len(sinks["page"].entries) == 1, "it to go on where the first one ended")
        assert sinks["page"].bodies[0]["counts"] == {"firing": 3, "resolved": 0, "new": 1}


def test_one_that_begins_while_the_first_is_away_for_good_takes_over_at_once(new_scene: NewScene) -> None:
    scene = new_scene()
    scene.raise_(alert("a"))
    scene.close()
    scene.open()
    scene.turn(5)
    assert len(scene.got()) == 1


def test_one_that_cannot_begin_lets_others_and_tries_again(
    new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = new_scene(opened=False)
    fails = failing(monkeypatch, Grouping, "begin", StoreFullError("no room"))
    with capture_logs() as log:
        scene.open()
        scene.raise_(alert("a"))
        assert scene.got("stream") == []
        assert [line["event"] for line in log] == ["notification_in_trouble"]
        scene.file.lead().close()
        fails.on = False
        scene.turn(1.0)
        wait_until(lambda: len(scene.sinks["stream"].entries) == 1, "it to begin after all")
        wait_until(lambda: log[-1]["event"] == "notification_goes_on", "it to say so")


def test_a_disk_without_room_loses_nothing(new_scene: NewScene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = new_scene()
    full = [
        failing(monkeypatch, Connection, name, StoreFullError("no room"), _of_notification)
        for name in ("writing", "staging")
    ]
    scene.partition.commit_alerts([alert("a"), alert("b")], Position(1), 0)
    scene.outward.drain(0.2)
    scene.clock.turn(5)
    scene.outward.drain(0.2)
    assert scene.got("stream") == []
    for each in full:
        each.on = False
    scene.clock.turn(60)
    scene.settle()
    assert [told["entity"] for told in scene.got("stream")] == ["a", "b"]
    scene.turn(5)
    assert [message["counts"]["firing"] for message in scene.got()] == [2]


def test_an_alert_stays_with_its_partition_until_the_disk_has_what_was_taken_in_and_goes_out_once(
    new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = new_scene()
    fails = failing(monkeypatch, Connection, "sync", StoreError("the disk does not answer"))
    scene.partition.commit_alerts([alert("a")], Position(1), 0)
    scene.outward.wake(scene.partition.partition)
    wait_until(lambda: len(scene.sinks["stream"].entries) == 1, "it to go out at once")
    scene.outward.drain(0.2)
    assert scene.partition.backlog()["notification"][0] == 1
    fails.on = False
    scene.clock.turn(60)
    scene.settle()
    assert scene.partition.backlog() == {}
    assert [told["entity"] for told in scene.got("stream")] == ["a"]


def test_what_a_sink_wants_directly_waits_for_no_tick_and_no_look(
    new_scene: NewScene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("detector.alerts.delivery._TICK", 1e6)
    monkeypatch.setattr("detector.notification.notifier._POLL", 1e6)
    scene = new_scene()
    stream = scene.sinks["stream"]
    for n in range(1, 21):
        scene.partition.commit_alerts([alert(f"e{n}")], Position(n), 0)
        scene.outward.wake(scene.partition.partition)
        wait_until(lambda n=n: len(stream.entries) == n, "it to go out")  # type: ignore[misc]
