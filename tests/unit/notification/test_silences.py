from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from detector.config.sections import Config
from detector.notification.silence_commands import SilenceCommands
from detector.store import fates
from detector.store.fates import What
from tests.support.notification import Scene, alert, configured

NewScene = Callable[..., Scene]

NIGHTS: dict[str, Any] = {"name": "nights", "time_zone": "Europe/Berlin", "when": [{"times": "22:00-06:00"}]}


def entities(messages: list[dict[str, Any]]) -> list[list[str]]:
    return [sorted(told["entity"] for told in message["alerts"]) for message in messages]


def commands(scene: Scene) -> SilenceCommands:
    return SilenceCommands(scene.file.file, scene.file.connect(), scene.clock.now, scene.config.labels)


def silence(scene: Scene, *matchers: str, **times: float) -> str:
    payload = {"matchers": list(matchers), "author": "ann", "comment": "c", **(times or {"seconds": 3600.0})}
    identity: str = commands(scene).add(payload)["silence"]["id"]
    return identity


def fate(scene: Scene, entity: str) -> tuple[What, str]:
    with scene.file.connect().reading() as sqlite:
        incident = alert(entity).id.rpartition("-")[0]
        (found,) = [each for each in fates.of_incident(sqlite, incident) if each.sink == "page"]
    return found.what, found.by


def test_what_is_silenced_is_kept_back_counted_and_told_when_the_silence_is_over(new_scene: NewScene) -> None:
    scene = new_scene()
    identity = silence(scene, "entity=~db-.*")
    scene.raise_(alert("db-1"), alert("db-2"), alert("web-1"))
    scene.turn(5)
    assert scene.tallies.silences_active == 1
    assert entities(scene.got()) == [["web-1"]]
    assert entities_of_stream(scene) == ["db-1", "db-2", "web-1"], "what is detected is not silenced"
    assert scene.tallies.suppressions == {"silenced": 2}
    assert fate(scene, "db-1") == (What.SILENCED, identity)
    scene.raise_(alert("db-2", 2, "resolve"))
    scene.turn(3600 - 5 - 1)
    assert scene.got() == []
    scene.turn(6)
    assert entities(scene.got()) == [["db-1", "web-1"]], "the other one is over, and nobody was told"
    assert fate(scene, "db-1")[0] is What.TOLD
    assert fate(scene, "db-2") == (What.SILENCED, identity)
    scene.turn(60)
    assert scene.tallies.silences_active == 0


def entities_of_stream(scene: Scene) -> list[str]:
    return [body["entity"] for body in scene.got("stream")]


def test_a_silence_that_is_ended_lets_what_is_open_through(new_scene: NewScene) -> None:
    scene = new_scene()
    identity = silence(scene, "topic=orders")
    scene.raise_(alert("a"))
    scene.turn(120)
    assert scene.got() == []
    commands(scene).expire({"ids": [identity]})
    scene.turn(5)
    assert entities(scene.got()) == [["a"]]
    assert scene.tallies.silences_active == 0


def test_a_silence_said_when_somebody_was_told_keeps_reminders_back_and_then_the_end(new_scene: NewScene) -> None:
    scene = new_scene()
    scene.raise_(alert("a"))
    scene.turn(5)
    assert entities(scene.got()) == [["a"]]
    silence(scene, "entity=a", seconds=10 * 3600.0)
    scene.turn(5 * 3600)
    scene.raise_(alert("a", 2, "resolve"))
    scene.turn(60)
    assert scene.got() == []
    scene.turn(5 * 3600)
    (message,) = scene.got()
    assert message["status"] == "resolved", "who was told that it began is told that it is over"


def test_a_silence_counts_from_its_beginning_on(new_scene: NewScene) -> None:
    scene = new_scene()
    silence(scene, "entity=a", **{"from": scene.clock.now() + 100, "seconds": 100.0})
    scene.raise_(alert("a"))
    scene.turn(5)
    assert entities(scene.got()) == [["a"]]
    scene.turn(100)
    scene.raise_(alert("a", 2, "update", severity="critical"))
    scene.turn(60)
    assert scene.got() == []
    scene.turn(40)
    assert entities(scene.got()) == [["a"]]


def test_silences_outlive_the_worker_and_another_goes_by_them(new_scene: NewScene) -> None:
    scene = new_scene()
    silence(scene, "entity=a")
    scene.raise_(alert("a"))
    scene.close()
    scene.open()
    scene.turn(10)
    assert scene.got() == []
    scene.turn(3600)
    assert entities(scene.got()) == [["a"]]


def test_a_clock_that_jumps_back_and_forth_changes_what_holds_and_loses_nothing(new_scene: NewScene) -> None:
    scene = new_scene()
    silence(scene, "entity=a", seconds=600.0)
    scene.raise_(alert("a"))
    scene.turn(5)
    scene.clock.jump(3600)
    scene.turn(5)
    assert entities(scene.got()) == [["a"]]
    scene.clock.jump(-3600)
    scene.raise_(alert("a", 2, "resolve"))
    scene.turn(60)
    assert scene.got() == []
    scene.turn(600)
    assert [message["status"] for message in scene.got()] == ["resolved"]


def berlin(scene: Scene, text: str) -> None:
    """Turn the clock to a time of Berlin in winter."""
    scene.turn(datetime.fromisoformat(f"{text}+01:00").timestamp() - scene.clock.now())


def test_a_mute_time_keeps_incidents_back_until_it_is_over(new_scene: NewScene) -> None:
    scene = new_scene(mute_times=[NIGHTS], notification={"mute_times": "nights"})
    berlin(scene, "2027-01-16 21:59:00")
    scene.raise_(alert("early"))
    scene.turn(5)
    assert entities(scene.got()) == [["early"]]
    berlin(scene, "2027-01-16 22:00:00")
    scene.raise_(alert("late"), alert("early", 2, "update", severity="critical"))
    scene.turn(60)
    assert scene.got() == []
    assert fate(scene, "late") == (What.MUTED, "nights")
    assert scene.tallies.suppressions["muted"] == 2
    berlin(scene, "2027-01-17 05:59:54")
    assert scene.got() == []
    berlin(scene, "2027-01-17 06:00:05")
    assert entities(scene.got()) == [["early", "late"]]


def test_a_mute_time_of_a_route_holds_for_what_takes_it(new_scene: NewScene) -> None:
    routes = [
        {"matchers": "severity=critical", "sinks": "page"},
        {"sinks": "page", "mute_times": ["nights"]},
    ]
    scene = new_scene(mute_times=[NIGHTS], routes=routes)
    berlin(scene, "2027-01-16 23:00:00")
    scene.raise_(alert("a"), alert("b", severity="critical"))
    scene.turn(60)
    assert entities(scene.got()) == [["b"]]
    identity = silence(scene, "entity=a")
    scene.raise_(alert("a", 2, "update"))
    scene.turn(60)
    assert fate(scene, "a") == (What.SILENCED, identity), "what somebody said is named first"


def test_other_rules_hold_from_the_next_turn_on_and_what_was_told_is_not_told_again(new_scene: NewScene) -> None:
    scene = new_scene()
    berlin(scene, "2027-01-16 23:00:00")
    scene.raise_(alert("told"))
    scene.turn(5)
    assert entities(scene.got()) == [["told"]]
    scene.exchange(mute_times=[NIGHTS], notification={"mute_times": ["nights"]})
    scene.raise_(alert("kept back"))
    scene.turn(600)
    assert scene.got() == []
    scene.exchange()
    scene.turn(60)
    (message,) = scene.got()
    assert (message["counts"]["new"], message["counts"]["firing"]) == (1, 2)


def test_a_sink_and_a_route_that_come_with_other_rules_get_what_is_open(new_scene: NewScene) -> None:
    scene = new_scene()
    scene.raise_(alert("a"), alert("b", severity="critical"))
    scene.turn(5)
    assert entities(scene.got()) == [["a", "b"]]
    sinks = [
        {"kind": "stdout", "name": "page", "direct": False},
        {"kind": "stdout", "name": "boss", "direct": False},
    ]
    routes = [{"matchers": "severity=critical", "sinks": "boss", "continue": True}, {"sinks": "page"}]
    scene.exchange(sinks=sinks, routes=routes)
    scene.turn(60)
    assert entities(scene.got("boss")) == [["b"]]
    assert scene.got() == [], "to this one nothing is new"
    scene.raise_(alert("b", 2, "resolve", severity="critical"))
    scene.turn(60)
    assert [message["status"] for message in scene.got("boss") + scene.got()] == ["resolved", "firing"]


@pytest.mark.parametrize(
    "settings",
    [
        {"notification": {"mute_times": ["days"]}, "mute_times": [NIGHTS]},
        {"routes": [{"sinks": "page", "mute_times": "days"}]},
    ],
    ids=["everywhere", "route"],
)
def test_a_mute_time_that_there_is_not_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`mute_times` has none of the name days, which is referred to"):
        configured(**settings)


def test_names_of_mute_times_differ() -> None:
    with pytest.raises(ValueError, match="given twice: nights"):
        configured(mute_times=[NIGHTS, NIGHTS])
    assert isinstance(configured(mute_times=[NIGHTS]), Config)


def test_the_times_of_this_file_are_what_they_seem() -> None:
    assert datetime.fromtimestamp(1_800_000_000, UTC).isoformat() == "2027-01-15T08:00:00+00:00"
