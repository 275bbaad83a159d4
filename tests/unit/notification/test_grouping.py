from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from detector.notification.labels import Labels
from detector.notification.muting import Muted
from detector.store import fates, incidents
from detector.store.fates import What
from detector.types import OutboxEntry, Outcome, Partition
from tests.support.notification import Scene, alert

NewScene = Callable[..., Scene]


def entities(message: dict[str, Any]) -> list[str]:
    return [told["entity"] for told in message["alerts"]]


def test_a_direct_sink_gets_every_alert_at_once_as_it_was_written(new_scene: NewScene) -> None:
    scene = new_scene()
    alerts = [alert("a"), alert("b"), alert("a", 2, "update", severity="critical"), alert("a", 3, "resolve")]
    scene.raise_(*alerts)
    assert [(e.id, e.body) for e in scene.sinks["stream"].entries] == [(a.id, a.body) for a in alerts]
    assert scene.tallies.messages["stream", "alert"] == 4


def test_incidents_that_open_within_the_group_wait_are_one_message(new_scene: NewScene) -> None:
    scene = new_scene()
    scene.raise_(alert("a"), alert("b", severity="critical"))
    scene.turn(4.9)
    scene.raise_(alert("c", peak=5.0))
    assert scene.got() == []
    scene.turn(0.1)
    (message,) = scene.got()
    assert (message["status"], message["severity"], message["labels"]) == ("firing", "critical", {"topic": "orders"})
    assert entities(message) == ["b", "c", "a"], "the gravest first"
    assert message["counts"] == {"firing": 3, "resolved": 0, "new": 3}
    assert message["summary"] == "3 incidents open (1 critical): b, c, a"
    assert message["left_out"] == 0
    scene.turn(3600)
    assert scene.got() == []


def test_a_single_incident_keeps_the_id_and_the_words_of_its_alert(new_scene: NewScene) -> None:
    scene = new_scene()
    only = alert("a")
    scene.raise_(only)
    scene.turn(5)
    assert scene.sinks["page"].ids == [only.id]
    (message,) = scene.got()
    assert (message["id"], message["summary"]) == (only.id, "a: cpu is high")
    assert message["alerts"][0]["id"] == only.id


def test_changes_are_kept_for_the_group_interval_and_a_mere_reminder_is_none(new_scene: NewScene) -> None:
    scene = new_scene()
    scene.raise_(alert("a"))
    scene.turn(5)
    scene.got()
    scene.raise_(alert("a", 2, "update", reason="repeat"))
    scene.turn(61)
    assert scene.got() == []
    scene.raise_(alert("a", 3, "update", severity="critical"))
    (risen,) = scene.got()
    assert (risen["severity"], risen["counts"]["new"]) == ("critical", 0)
    scene.raise_(alert("b"), alert("a", 4, "resolve", severity="critical"))
    scene.turn(59)
    assert scene.got() == []
    scene.turn(1)
    (both,) = scene.got()
    assert entities(both) == ["b", "a"]
    assert both["counts"] == {"firing": 1, "resolved": 1, "new": 1}
    assert both["summary"] == "1 incident open: b; 1 incident over (1 critical): a"
    scene.raise_(alert("b", 2, "resolve"))
    scene.turn(60)
    (last,) = scene.got()
    assert (last["status"], last["counts"]) == ("resolved", {"firing": 0, "resolved": 1, "new": 0})
    scene.turn(100_000)
    assert scene.got() == []


def test_what_goes_on_is_told_again_after_the_repeat_interval_with_another_id(new_scene: NewScene) -> None:
    scene = new_scene()
    scene.raise_(alert("a"))
    scene.turn(5)
    scene.turn(4 * 3600 - 1)
    assert len(scene.sinks["page"].entries) == 1
    scene.turn(1)
    scene.turn(4 * 3600)
    first, second, third = scene.sinks["page"].bodies
    assert (first["repeat"], second["repeat"], third["repeat"]) == (False, True, True)
    assert len({first["id"], second["id"], third["id"]}) == 3
    assert second["summary"] == "still: a: cpu is high"
    assert scene.tallies.messages["page", "repeat"] == 2


def test_what_is_over_before_anybody_was_told_is_told_once_as_over(new_scene: NewScene) -> None:
    scene = new_scene()
    scene.raise_(alert("a"), alert("a", 2, "resolve"))
    scene.turn(5)
    (message,) = scene.got()
    assert message["status"] == "resolved"
    scene.turn(100_000)
    assert scene.got() == []


def test_groups_go_by_labels_and_labels_come_from_names_too(new_scene: NewScene) -> None:
    settings = {"entity_labels": "(?P<site>[^-]+)-.*", "group_by": ["topic", "site"]}
    scene = new_scene(notification=settings)
    scene.raise_(alert("berlin-1"), alert("paris-1"), alert("berlin-2"), alert("nowhere"))
    scene.turn(5)
    found = {message["labels"]["site"]: entities(message) for message in scene.got()}
    assert found == {"berlin": ["berlin-1", "berlin-2"], "paris": ["paris-1"], "": ["nowhere"]}


EVENTS = {"features": ["cpu", "disk"], "entity": "host", "labels": {"site": "site", "tier": "tier"}}


def at(entity: str, site: str, sequence: int = 1, phase: str = "open", **more: Any) -> OutboxEntry:
    return alert(entity, sequence, phase, labels={"site": site, "tier": ""}, **more)


def test_labels_that_events_have_are_grouped_and_routed_by_to_the_end(new_scene: NewScene) -> None:
    routes = [
        {"matchers": ["site=lab"], "sinks": ["stream"]},
        {"matchers": ['tier=""'], "sinks": ["page"], "group_by": ["site"]},
    ]
    scene = new_scene(events=EVENTS, routes=routes)
    scene.raise_(at("a", "ams"), at("b", "fra"), at("c", "ams"), at("d", "lab"))
    scene.turn(5)
    assert {message["labels"]["site"]: entities(message) for message in scene.got()} == {
        "ams": ["a", "c"],
        "fra": ["b"],
    }
    assert [told["entity"] for told in scene.got("stream")] == ["d"]
    scene.close()
    scene.open()
    scene.raise_(at("b", "fra", 2, "resolve"))
    scene.turn(60)
    assert [(m["labels"], m["status"]) for m in scene.got()] == [({"site": "fra"}, "resolved")]


ROUTES = [
    {"matchers": ['severity="critical"'], "sinks": ["page"], "group_wait": "1s", "continue": True},
    {"matchers": ['entity=~"db-.*"'], "sinks": ["mail"]},
    {"matchers": ['entity!="silent"'], "sinks": ["stream"]},
]
SINKS = [
    {"kind": "stdout", "name": "page", "direct": False},
    {"kind": "stdout", "name": "mail", "direct": False},
    {"kind": "stdout", "name": "stream"},
]


def test_the_first_route_counts_and_those_behind_it_where_it_continues(new_scene: NewScene) -> None:
    scene = new_scene(routes=ROUTES, sinks=SINKS)
    scene.raise_(alert("db-1", severity="critical"), alert("db-2"), alert("web-1"), alert("silent"))
    scene.turn(1)
    assert [entities(message) for message in scene.got("page")] == [["db-1"]]
    scene.turn(4)
    assert [entities(message) for message in scene.got("mail")] == [["db-1", "db-2"]]
    assert [told["entity"] for told in scene.got("stream")] == ["web-1"]
    assert scene.tallies.suppressions["unrouted"] == 1
    with scene.file.connect().reading() as sqlite:
        incident = alert("silent").id.partition("-")[0]
        assert [(fate.sink, fate.what) for fate in fates.of_incident(sqlite, incident)] == [("", What.UNROUTED)]


def test_who_was_told_that_it_opened_is_told_how_it_goes_on_whatever_its_severity(new_scene: NewScene) -> None:
    routes = [
        {"matchers": ["severity=warning"], "sinks": ["mail", "stream"]},
        {"matchers": ["severity=critical"], "sinks": ["page"]},
    ]
    scene = new_scene(routes=routes, sinks=SINKS)
    scene.raise_(alert("a"))
    scene.turn(5)
    scene.raise_(alert("a", 2, "update", severity="critical"))
    scene.turn(60)
    scene.raise_(alert("a", 3, "resolve", severity="critical"))
    scene.turn(60)
    assert [message["status"] for message in scene.got("mail")] == ["firing", "firing", "resolved"]
    assert [message["status"] for message in scene.got("page")] == ["firing", "resolved"]
    assert [told["phase"] for told in scene.got("stream")] == ["open", "update", "resolve"]


def test_a_message_holds_so_many_alerts_and_counts_the_others(new_scene: NewScene) -> None:
    scene = new_scene(notification={"alerts": 2})
    scene.raise_(*(alert(f"e{n}", peak=float(n)) for n in range(5)))
    scene.turn(5)
    (message,) = scene.got()
    assert entities(message) == ["e4", "e3"]
    assert (message["left_out"], message["counts"]["firing"]) == (3, 5)


class Listed:
    """Mutes the entities that it lists."""

    def __init__(self, *entities: str) -> None:
        self.entities = set(entities)

    def muted_by(self, labels: Labels, now: float, mute_times: Sequence[str]) -> Muted | None:  # noqa: ARG002 - at any time
        return Muted(What.SILENCED, "s1") if labels["entity"] in self.entities else None


def test_what_is_muted_waits_and_is_let_through_when_that_ends_while_it_is_open(new_scene: NewScene) -> None:
    scene = new_scene(opened=False)
    scene.muting = muting = Listed("a", "b", "c")
    scene.open()
    scene.raise_(alert("a"), alert("b"))
    scene.turn(5)
    scene.turn(600)
    assert scene.got() == []
    assert scene.tallies.suppressions["silenced"] == 2
    assert [told["entity"] for told in scene.got("stream")] == ["a", "b"], "what is detected is not muted"
    scene.raise_(alert("b", 2, "resolve"))
    scene.turn(60)
    with scene.file.connect().reading() as sqlite:
        (fate,) = [f for f in fates.of_incident(sqlite, alert("b").id.partition("-")[0]) if f.sink == "page"]
        assert (fate.what, fate.by) == (What.SILENCED, "s1")
        assert len(incidents.latest(sqlite, scene.file.file, 10)) == 2, "it is an incident all the same"
    muting.entities.clear()
    scene.turn(5)
    (message,) = scene.got()
    assert (entities(message), message["status"]) == (["a"], "firing")
    muting.entities.add("a")
    scene.raise_(alert("a", 2, "resolve"))
    scene.turn(60)
    assert scene.got() == []
    muting.entities.clear()
    scene.turn(5)
    (message,) = scene.got()
    assert (entities(message), message["status"]) == (["a"], "resolved"), "who was told is told how it ended"


def test_past_incidents_alike_go_with_a_message_and_what_was_said_of_them(new_scene: NewScene) -> None:
    class Said:
        def of(self, identities: list[str]) -> dict[str, str]:
            return dict.fromkeys(identities[:1], "normal, by ann")

    scene = new_scene(opened=False)
    scene.verdicts = Said()  # type: ignore[assignment]  # a list is a sequence
    scene.open()
    past = [("same", (0.74, 0.26)), ("near", (0.6, 0.4)), ("other", (0.0, 1.0))]
    for name, shares in past:
        scene.raise_(alert(name, shares=shares), alert(name, 2, "resolve", shares=shares))
    elsewhere = Partition("payments", 0)
    scene.raise_(alert("x", partition=elsewhere), alert("x", 2, "resolve", partition=elsewhere))
    scene.turn(5)
    scene.got()
    scene.raise_(alert("now", shares=(0.75, 0.25)))
    scene.turn(60)
    (message,) = scene.got()
    assert [(past["entity"], past["verdict"]) for past in message["similar"]] == [
        ("same", "normal, by ann"),
        ("near", None),
    ]
    assert message["similar"][0]["likeness"] > 0.99 > message["similar"][1]["likeness"]


def test_another_worker_goes_on_where_the_one_before_ended(new_scene: NewScene) -> None:
    scene = new_scene()
    scene.raise_(alert("a"))
    scene.turn(5)
    scene.raise_(alert("b"))
    scene.turn(20)
    scene.close()
    scene.clock.turn(30)
    scene.open()
    scene.settle()
    assert [entities(message) for message in scene.got()] == [["a"]]
    scene.turn(10)
    (message,) = scene.got()
    assert (entities(message), message["counts"]["new"]) == (["a", "b"], 1)


def test_other_routes_take_over_what_is_open(new_scene: NewScene) -> None:
    scene = new_scene()
    scene.raise_(alert("a"))
    scene.turn(5)
    scene.close()
    scene.config = scene.config.model_validate(
        scene.config.model_dump() | {"routes": [{"matchers": ["entity=a"], "sinks": ["page"]}]}
    )
    scene.open()
    scene.turn(5)
    assert [entities(message) for message in scene.got()] == [["a"], ["a"]]


def test_a_clock_that_jumps_changes_no_waits(new_scene: NewScene) -> None:
    scene = new_scene()
    for jump in (3600, -3600, -3600, 3600):
        scene.raise_(alert(f"{jump}", offset=scene.clock.monotonic().__int__()))
        scene.clock.jump(jump)
        scene.turn(61)
        assert len(scene.got()) == 1, jump
        scene.clock.jump(jump)
        scene.turn(100)
        assert scene.got() == [], jump


def test_a_worker_that_begins_after_the_clock_was_turned_back_waits_no_longer_than_it_should(
    new_scene: NewScene,
) -> None:
    scene = new_scene()
    scene.raise_(alert("a"))
    scene.turn(5)
    scene.raise_(alert("b"))
    scene.close()
    scene.got()
    scene.clock.jump(-3600)
    scene.open()
    scene.turn(60)
    assert [entities(message) for message in scene.got()] == [["a", "b"]]


def test_an_incident_of_which_nothing_is_heard_any_more_counts_as_over(new_scene: NewScene) -> None:
    scene = new_scene(notification={"forget_after": "7d", "repeat_interval": "30d"})
    scene.raise_(alert("a"))
    scene.turn(5)
    scene.turn(7 * 86400)
    assert [message["status"] for message in scene.got()] == ["firing", "resolved"]


def test_a_sink_that_has_too_much_waiting_holds_the_intake_and_nothing_is_lost(new_scene: NewScene) -> None:
    scene = new_scene(outbox={"max_alerts": 2})
    scene.sinks["stream"].outcome = Outcome.RETRY
    for n in range(6):
        scene.raise_(alert(f"e{n}"))
    waiting = scene.outward.waiting(scene.partition.partition)
    assert scene.file.backlog()["stream"][0] == 3
    scene.clock.turn(1)
    scene.settle()
    waiting = scene.outward.waiting(scene.partition.partition)
    assert waiting["stream"][0] == 3, "what waits in the partition's outbox waits for the sink"
    scene.sinks["stream"].outcome = Outcome.DELIVERED
    for _ in range(10):
        scene.turn(60)
    assert [told["entity"] for told in scene.got("stream")] == [f"e{n}" for n in range(6)]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"kind": 7}', b"\xff"])
def test_what_is_no_alert_is_refused_and_kept_and_holds_up_nothing(new_scene: NewScene, body: bytes) -> None:
    scene = new_scene()
    scene.raise_(alert("a")._replace(id="broken", body=body), alert("b"))
    assert [told["entity"] for told in scene.got("stream")] == ["b"]
    assert scene.tallies.refusals["notification", "invalid"] == 1
    assert scene.partition.backlog() == {}


def test_at_the_end_of_a_finite_source_nothing_waits_any_longer(new_scene: NewScene) -> None:
    scene = new_scene()
    scene.raise_(alert("a"))
    scene.grouping.hurry()
    scene.settle()
    assert [entities(message) for message in scene.got()] == [["a"]]
    scene.settle()
    assert scene.got() == []
