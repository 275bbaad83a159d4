from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from detector.alerts.webhook import WebhookSink
from detector.config import sections
from detector.notification import message as messages
from detector.notification.rules import Way
from detector.store import fleets
from detector.types import Partition
from tests.support.alerts import SECRET
from tests.support.notification import PARTITION, Scene, alert
from tests.support.receiver import LOOPBACK, Receiver

VALID = jsonschema.Draft202012Validator(messages.schema())
NewScene = Callable[..., Scene]
SMALL = {"group_by": ["entity"], "fleet": {"share": 0.5, "least": 3, "entities": 2}}


def test_more_than_a_share_of_the_entities_at_once_are_one_message_with_their_names(new_scene: NewScene) -> None:
    scene = new_scene(notification=SMALL)
    scene.outward.know({PARTITION: 4, Partition("orders", 4): 2, Partition("payments", 0): 100})
    scene.raise_(*(alert(f"e{n}") for n in range(4)))
    scene.turn(5)
    (message,) = scene.got()
    fleet = message["fleet"]
    assert message["labels"] == {"topic": "orders", "fleet": fleet["id"]}
    assert (fleet["affected"], fleet["known"], fleet["share"]) == (4, 6, pytest.approx(4 / 6, abs=1e-4))
    assert (fleet["entities"], fleet["left_out"]) == (["e0", "e1"], 2)
    assert message["counts"]["firing"] == 4
    assert message["summary"] == (
        "fleet orders: 4 of 6 entities (67 %) have an open incident at once: e0, e1"
    ) or message["summary"].startswith("fleet orders: 4 of 6 entities (67 %) have an open incident at once: e0, e1")


@pytest.mark.parametrize(("known", "count"), [(6, 3), (2, 2), (0, 4)])
def test_fewer_or_too_few_or_of_an_unknown_number_are_no_fleet(new_scene: NewScene, known: int, count: int) -> None:
    scene = new_scene(notification=SMALL)
    if known:
        scene.outward.know({PARTITION: known})
    scene.raise_(*(alert(f"e{n}") for n in range(count)))
    scene.turn(5)
    messages = scene.got()
    assert len(messages) == count
    assert all(message["fleet"] is None for message in messages)


def test_those_that_join_later_update_it_and_those_told_before_stay_where_they_were(new_scene: NewScene) -> None:
    scene = new_scene(notification=SMALL)
    scene.outward.know({PARTITION: 6})
    scene.raise_(alert("first"))
    scene.turn(5)
    (alone,) = scene.got()
    assert alone["labels"] == {"entity": "first"}
    scene.raise_(*(alert(f"e{n}") for n in range(3)))
    scene.turn(5)
    (begun,) = scene.got()
    assert [a["entity"] for a in begun["alerts"]] == ["e0", "e1", "e2"]
    assert begun["fleet"]["affected"] == 4
    scene.raise_(alert("e3"))
    scene.turn(60)
    (joined,) = scene.got()
    assert (joined["labels"], joined["counts"]["new"], joined["fleet"]["affected"]) == (begun["labels"], 1, 5)
    scene.raise_(alert("first", 2, "resolve"), *(alert(f"e{n}", 2, "resolve") for n in range(4)))
    scene.turn(60)
    over = {tuple(sorted(message["labels"])): message for message in scene.got()}
    assert {message["status"] for message in over.values()} == {"resolved"}
    assert over["entity",]["counts"]["resolved"] == 1
    assert over["fleet", "topic"]["counts"]["resolved"] == 4
    assert over["entity",]["fleet_over"] is None
    assert (over["fleet", "topic"]["fleet"], over["fleet", "topic"]["fleet_over"]) == (None, joined["fleet"])
    assert over["fleet", "topic"]["summary"].startswith("fleet orders is over: 4 incidents over: e")
    with scene.file.connect().reading() as sqlite:
        assert fleets.under_way(sqlite) == []
    scene.raise_(alert("e0", offset=9))
    scene.turn(5)
    (after,) = scene.got()
    assert after["labels"] == {"entity": "e0"}


def test_a_fleet_goes_on_with_the_next_worker(new_scene: NewScene) -> None:
    scene = new_scene(notification=SMALL)
    scene.outward.know({PARTITION: 6})
    scene.raise_(*(alert(f"e{n}") for n in range(4)))
    scene.turn(5)
    (before,) = scene.got()
    scene.close()
    scene.open()
    scene.raise_(alert("e4"))
    scene.turn(60)
    (after,) = scene.got()
    assert (after["labels"], after["counts"]["firing"]) == (before["labels"], 5)
    scene.close()
    scene.open()
    scene.raise_(*(alert(f"e{n}", 2, "resolve") for n in range(5)))
    scene.turn(60)
    (over,) = scene.got()
    VALID.validate(over)
    assert over["fleet_over"]["id"] == before["fleet"]["id"]


@pytest.mark.parametrize("taken_over", [False, True])
def test_what_is_left_when_a_fleet_is_over_is_told_by_itself_and_that_it_is_over_once(
    new_scene: NewScene, *, taken_over: bool
) -> None:
    """Whether the same worker tells it or another one, which has the fleet from the file."""

    def next_worker() -> None:
        if taken_over:
            scene.close()
            scene.open()

    scene = new_scene(notification={"fleet": {"share": 0.5, "least": 3}})
    scene.outward.know({PARTITION: 6})
    scene.raise_(*(alert(f"e{n}") for n in range(4)))
    scene.turn(5)
    (begun,) = scene.got()
    next_worker()
    scene.raise_(*(alert(f"e{n}", 2, "resolve") for n in range(3)))
    scene.turn(60)
    (left,) = scene.got()
    assert (left["status"], left["fleet"], left["fleet_over"]) == ("firing", None, begun["fleet"])
    assert left["summary"] == "fleet orders is over: 1 incident open: e3; 3 incidents over: e0, e1, e2"
    next_worker()
    scene.raise_(alert("e3", 2, "resolve"))
    scene.turn(60)
    (last,) = scene.got()
    assert (last["status"], last["fleet_over"]) == ("resolved", None)


def test_a_sink_that_asks_for_it_is_told_that_a_fleet_began_and_that_it_is_over_and_reminded(
    new_scene: NewScene,
) -> None:
    scene = new_scene(opened=False, notification=SMALL)
    scene.ways = {"stream": Way("stream", direct=True, resend=60.0, fleets=True), "page": Way("page", direct=False)}
    scene.open()
    scene.outward.know({PARTITION: 4})
    scene.raise_(*(alert(f"e{n}") for n in range(4)))
    entries = scene.sinks["stream"].entries
    assert [entry.kind for entry in entries] == ["alert"] * 4 + ["fleet"]
    entries.clear()
    scene.turn(60)
    assert sorted(entry.kind for entry in entries) == ["fleet"] + ["resend"] * 4
    assert {entry.id for entry in entries if entry.kind == "resend"} == {alert(f"e{n}").id for n in range(4)}
    entries.clear()
    scene.raise_(*(alert(f"e{n}", 2, "resolve") for n in range(4)))
    told = [body for body in scene.got("stream") if "fleet" in body]
    assert [(body["status"], body["fleet"]["topic"]) for body in told] == [("resolved", "orders")]
    scene.turn(60)
    assert scene.got("stream") == []


def test_a_sink_to_which_none_of_its_incidents_goes_is_told_of_no_fleet(new_scene: NewScene) -> None:
    routes = [{"matchers": ['entity="e3"'], "sinks": ["stream"]}, {"sinks": ["page"]}]
    scene = new_scene(opened=False, notification=SMALL, routes=routes)
    scene.ways = {"stream": Way("stream", direct=True, resend=60.0, fleets=True), "page": Way("page", direct=False)}
    scene.open()
    scene.outward.know({PARTITION: 4})
    scene.raise_(*(alert(f"e{n}") for n in range(3)))
    scene.turn(60)
    assert scene.got("stream") == []
    scene.raise_(alert("e3"))
    assert [entry.kind for entry in scene.sinks["stream"].entries] == ["alert", "fleet"]
    scene.sinks["stream"].take()
    scene.raise_(*(alert(f"e{n}", 2, "resolve") for n in range(4)))
    told = [body for body in scene.got("stream") if "fleet" in body]
    assert [body["status"] for body in told] == ["resolved"]


def test_ten_thousand_entities_at_once_are_one_message_in_bounded_memory(new_scene: NewScene) -> None:
    page = [{"kind": "stdout", "name": "page", "direct": False}]
    scene = new_scene(opened=False, notification={"group_by": ["entity"]}, sinks=page)
    with Receiver() as receiver:
        settings = {"url": receiver.url, "name": "page", "secrets": [SECRET], "allow_networks": LOOPBACK}
        scene.open([WebhookSink(sections.WebhookSink.model_validate(settings), "sinks[0]")])
        scene.outward.know({PARTITION: 12_000})
        for start in range(0, 10_000, 500):  # as rounds of a partition's outbox, but larger ones
            taken = [(alert(f"e{n:05d}", padding=4000), 1) for n in range(start, start + 500)]
            scene.outward._intake.deliver_all(taken)
        scene.settle()
        tracemalloc.start()
        try:
            scene.turn(5)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        scene.turn(3600)
        (request,) = receiver.requests
    request.verify(SECRET)
    message = json.loads(request.body)
    VALID.validate(message)
    assert message["counts"] == {"firing": 10_000, "resolved": 0, "new": 10_000}
    assert (message["fleet"]["affected"], message["fleet"]["known"]) == (10_000, 12_000)
    assert (len(message["fleet"]["entities"]), message["fleet"]["left_out"]) == (100, 9_900)
    assert (len(message["alerts"]), message["left_out"]) == (20, 9_980)
    assert most < 40 << 20, f"{most:,} bytes at worst"
