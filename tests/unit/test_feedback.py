"""What an operator says of an incident, and what comes of it: by the way that the daemon goes, log to outbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from detector.errors import CommandError, NotMineError
from detector.feedback import Feedback
from detector.sources.memory import MemoryLog
from detector.store.memory import MemoryStore
from detector.store.told import listed
from detector.types import ControlKind
from tests.support.member import Member
from tests.support.models import small
from tests.support.scene import ALERTING, DETECTION, EPOCH, FAULT, INCIDENTS, OTHER, PARTITION, Scene, alerts, write


@pytest.fixture(autouse=True)
def early_upkeep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let gates be set within a short log."""
    monkeypatch.setattr("detector.models.upkeep._EVERY", 8)
    monkeypatch.setattr("detector.models.judging._GATE_ROWS", 100.0)
    monkeypatch.setattr("detector.models.judging._GATED", 0.01)


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    with scene.member:
        yield scene


def opened(found: list[dict[str, Any]]) -> list[str]:
    return [alert["entity"] for alert in found]


def test_what_is_normal_alerts_no_more_another_pattern_does_and_after_undo_it_alerts_again(scene: Scene) -> None:
    (incident,) = scene.go_on(20, FAULT, "a")
    scene.go_on(60)
    given = scene.give(incident["incident"]["id"])
    scene.go_on(60)
    assert scene.go_on(20, FAULT, "a") == []
    scene.go_on(60)
    assert opened(scene.go_on(20, FAULT, "b")) == ["b"], "it was said of the incident's own entity"
    scene.go_on(60)
    assert opened(scene.go_on(20, OTHER, "a")) == ["a"]
    scene.go_on(60)
    assert opened(scene.go_on(20, FAULT + OTHER, "a")) == ["a"], "what was approved does not excuse the rest"
    scene.go_on(60)
    scene.feedback.undo({"feedback": given["id"], "by": "bob"})
    scene.go_on(60)
    assert opened(scene.go_on(20, FAULT, "a")) == ["a"]
    scene.go_on(60)
    assert scene.heard == [(given["incident"], "normal"), (given["incident"], None)]

    again, store = MemoryLog(scene.log.topic_id), MemoryStore(keep_rejects=10)
    again.__dict__ |= scene.log.__dict__ | {"committed": {}}
    replayed = store.open(PARTITION)
    for record in scene.member.owned(PARTITION).store.controls():
        replayed.add_control(record)
    replayed.close()
    with Member(again, store, DETECTION) as member:
        member.read(PARTITION)
        assert alerts(member) == alerts(scene.member), "a replay agrees"


def test_an_open_incident_that_is_normal_ends(scene: Scene) -> None:
    (incident,) = scene.go_on(20, FAULT, "a")
    assert incident["phase"] == "open"
    scene.give(incident["incident"]["id"][:8])
    (resolved,) = scene.go_on(60, FAULT, "a")
    assert (resolved["phase"], resolved["reason"]) == ("resolve", "recovered")


def test_everywhere_it_is_normal_for_the_others_too(scene: Scene) -> None:
    (incident,) = scene.go_on(20, FAULT, "a")
    scene.give(incident["incident"]["id"], everywhere=True)
    scene.go_on(60)
    assert scene.go_on(20, FAULT, "b") == []
    assert opened(scene.go_on(20, OTHER, "b")) == ["b"]


def test_what_is_normal_expires(scene: Scene) -> None:
    (incident,) = scene.go_on(20, FAULT, "a")
    scene.go_on(60)
    scene.give(incident["incident"]["id"], span=150.0)
    scene.go_on(30)
    assert scene.go_on(20, FAULT, "a") == []
    scene.go_on(120)
    assert opened(scene.go_on(20, FAULT, "a")) == ["a"]
    time = scene.member.owned(PARTITION).model.time
    (told,) = listed(scene.member.owned(PARTITION).store.controls(), time)
    assert (told["state"], told["by"], told["at"]) == ("expired", "ada", 1e9)


def promotions(verdict: str | None) -> tuple[int, bool]:
    """Let a fault last until it would be a new normal; returns what was promoted, and whether it still alerts."""
    lasting = small(incidents=INCIDENTS, alerting=ALERTING, gate=1.5, promote_count=50, promote_after=100.0)
    log, store = MemoryLog(), MemoryStore(keep_rejects=10)
    with Member(log, store, lasting) as member:
        feedback = Feedback(member.ownership.owned, last=lambda _: None, heard=lambda *_: None, now=lambda: 0.0)
        write(log, 2500)
        write(log, 30, FAULT, "a")
        member.read(PARTITION)
        if verdict:
            feedback.give({"incident": alerts(member)[-1]["incident"]["id"], "verdict": verdict, "by": "ada"})
        write(log, 600, FAULT, "a")
        member.read(PARTITION)
        model = member.owned(PARTITION).model
        return model.changes["promotions"], bool(model.incidents.open)


def test_a_fault_is_never_promoted() -> None:
    assert promotions(None) == (1, False), "or the verdict would prove nothing"
    assert promotions("fault") == (0, True)


def test_what_cannot_be_said_is_refused_with_the_reason(scene: Scene) -> None:
    (incident,) = scene.go_on(20, FAULT, "a")
    number = incident["incident"]["id"]
    for wrong, why in (
        ({"verdict": "good"}, "no verdict 'good'; expected one of normal, fault"),
        ({"incident": "abc"}, "at least its first 6 digits"),
        ({"entity": "c"}, "knows no entity 'c'"),
        ({"by": ""}, "expected 'by'"),
        ({"until": float(EPOCH)}, "must lie behind the partition's event time"),
        ({"span": 1e14}, "before the year 9999"),
    ):
        with pytest.raises(CommandError, match=why):
            scene.feedback.give({"incident": number, "verdict": "normal", "by": "ada"} | wrong)
    with pytest.raises(NotMineError, match="no incident of this id is known here"):
        scene.give("0" * 32)
    with pytest.raises(NotMineError, match="no verdict of this id is in force"):
        scene.feedback.undo({"feedback": "12345678", "by": "ada"})
    assert [c.kind for c in scene.member.owned(PARTITION).store.controls()].count(ControlKind.FEEDBACK) == 0


def test_an_incident_is_not_said_to_be_normal_and_a_fault_at_once(scene: Scene) -> None:
    (incident,) = scene.go_on(20, FAULT, "a")
    number = incident["incident"]["id"]
    given = scene.give(number)
    fault = {"incident": number, "verdict": "fault", "by": "bob"}
    with pytest.raises(CommandError, match=f"{given['id']} says that {number} is normal, and is in force: undo it"):
        scene.feedback.give(fault)
    assert scene.feedback.give(fault | {"entity": "b"})["entity"] == "b", "of another entity nothing was said"
    scene.feedback.undo({"feedback": given["id"], "by": "bob"})
    assert scene.feedback.give(fault)["verdict"] == "fault"
