"""What is kept of control records: by the way that the daemon goes, with restarts that come too early or in order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detector.control_records import VERSIONS, spent
from detector.feedback import in_force
from detector.models.versions import Version
from detector.operating import LearningModes
from detector.protocols import Clock
from detector.refit.limits import Limits
from detector.refit.values import Parameters
from detector.refit_commands import RefitCommands, kept_versions
from detector.refitting import Plan, Refitting, records
from detector.store.memory import MemoryStore
from detector.types import ControlKind, ControlRecord
from tests.support.member import Member
from tests.support.scene import DETECTION, MODELS, PARTITION, Scene, write


def record(kind: ControlKind, **payload: Any) -> ControlRecord:
    return ControlRecord(0, kind, payload)


def test_of_what_has_taken_effect_that_is_kept_which_somebody_asks_for() -> None:
    applied = [
        record(ControlKind.CONFIGURATION),
        record(ControlKind.PARTITIONS, partitions=2),
        record(ControlKind.FEEDBACK, id="first"),
        record(ControlKind.FEEDBACK, id="of old"),
        record(ControlKind.CONFIGURATION),
        *(record(ControlKind.LEARNING, pattern=f"host-{n}") for n in range(100)),
        *(record(ControlKind.FEEDBACK, id=str(n)) for n in range(1000)),
    ]
    kept = [each for place, each in enumerate(applied) if place not in set(spent(applied, ["first"]))]
    assert kept == [applied[2], applied[4], *applied[-1000:]]


def test_versions_are_kept_however_many_candidates_were_refused_since() -> None:
    adopted = [record(ControlKind.DECISION, replaced={}, made_for=n) for n in range(30)]
    refused = [record(each, candidate=n) for n in range(50) for each in (ControlKind.CANDIDATE, ControlKind.DECISION)]
    applied = [*adopted, *refused]
    kept = [each for place, each in enumerate(applied) if place not in set(spent(applied, []))]
    assert [each for each in kept if "replaced" in each.payload] == adopted[-VERSIONS:]
    assert kept[VERSIONS:] == refused[-20:]


def test_it_makes_no_difference_how_often_records_were_dropped_in_between() -> None:
    rng = np.random.default_rng(1)
    kinds = list(ControlKind)
    made = [
        record(kinds[k], id=str(n), **({"replaced": {}} if kinds[k] is ControlKind.ROLLBACK or n % 3 else {}))
        for n, k in enumerate(rng.integers(0, len(kinds), 3000).tolist())
    ]
    in_force = {str(n) for n in range(0, 3000, 97)}
    at_once = [each for place, each in enumerate(made) if place not in set(spent(made, in_force))]
    left: list[ControlRecord] = []
    for start in range(0, 3000, 50):
        left += made[start : start + 50]
        gone = set(spent(left, in_force))
        left = [each for place, each in enumerate(left) if place not in gone]
    assert left == at_once


@pytest.mark.parametrize("crashed", [False, True], ids=["ended", "killed"])
def test_a_store_grows_no_more_and_what_was_said_outlives_it_and_a_restart(*, crashed: bool) -> None:
    scene = Scene(quiet=200)
    modes = LearningModes(scene.member.ownership.owned)
    for n in range(300):
        modes.say({"pattern": f"a{n % 7}*", "mode": "freeze"})
        if n % 30 == 29:
            scene.go_on(40)
            scene.member.checkpoint()
    scene.go_on(40)
    scene.member.checkpoint()
    owned = scene.member.owned(PARTITION)
    assert [each.kind for each in owned.store.controls()] == [ControlKind.CONFIGURATION]
    assert owned.model.applied == 1
    modes.say({"pattern": "b", "mode": "quarantine"})
    scene.go_on(40)
    said, header = dict(owned.model.learning.said), owned.model.header()
    assert said == {**{f"a{n}*": "freeze" for n in range(7)}, "b": "quarantine"}
    end_or_kill(scene, crashed=crashed)
    with Member(scene.log, scene.store, DETECTION, models=MODELS) as again:
        again.read(PARTITION)
        restored = again.owned(PARTITION).model
        assert (restored.learning.said, restored.learning.mode_of("a3x")) == (said, owned.model.learning.mode_of("a3"))
        if crashed:  # the last record was replayed; else it went with the last checkpoint
            assert restored.header() == header


def end_or_kill(scene: Scene, *, crashed: bool) -> None:
    """End the scene's member, or let its process die at once."""
    if not crashed:
        scene.member.__exit__(None, None, None)
        return
    assert isinstance(scene.store, MemoryStore)
    scene.member.writer.close()
    scene.store.crash()


def test_a_crash_while_records_are_dropped_loses_nothing() -> None:
    """The checkpoint that drops them never becomes durable: the one before, and all that came since, count."""
    scene = Scene(quiet=200)
    scene.member.checkpoint()
    modes = LearningModes(scene.member.ownership.owned)
    for n in range(5):
        modes.say({"pattern": f"host-{n}", "mode": "freeze", "partition": str(PARTITION)})
    scene.go_on(40)
    owned = scene.member.owned(PARTITION)
    said = dict(owned.model.learning.said)
    owned.begin_checkpoint(scene.member.clock.monotonic())
    assert owned.model.applied == 1
    end_or_kill(scene, crashed=True)
    with Member(scene.log, scene.store, DETECTION, models=MODELS) as again:
        again.read(PARTITION)
        assert (again.owned(PARTITION).model.learning.said, len(said)) == (said, 5)


def test_feedback_in_force_outlives_its_neighbours() -> None:
    scene = Scene()
    with scene.member:
        (incident,) = scene.go_on(20, np.array([0.0, 40.0, 0.0]), "a")
        given = scene.give(incident["incident"]["id"], forever=True)
        scene.go_on(40)
        for n in range(20):
            other = scene.give(incident["incident"]["id"], entity="b", comment=str(n))
            scene.feedback.undo({"feedback": other["id"], "by": "ada"})
        scene.go_on(40)
        scene.member.checkpoint()
        assert [said["id"] for said in in_force(scene.member.owned(PARTITION))] == [given["id"]]
    with Member(scene.log, scene.store, DETECTION, models=MODELS) as again:
        again.read(PARTITION)
        assert [said["by"] for said in in_force(again.owned(PARTITION))] == ["ada"]


class _Nobody:
    """Hears of refits."""

    def refitted(self, result: str, seconds: float | None = None) -> None: ...

    def compared(self, partition: Any, agreement: float, overlooked: int) -> None: ...

    def decided(self, partition: Any, decision: Any) -> None: ...


def refitting_of(member: Member) -> tuple[Refitting, RefitCommands]:
    plan = Plan(Parameters("kmeans", k=2), interval=None, least=200, shadow_blocks=4, limits=Limits())
    clock: Clock = member.clock
    refitting = Refitting(plan, member.ownership.owned, clock, _Nobody(), lambda *_: None)
    return refitting, RefitCommands(refitting, member.ownership.owned, plan.parameters)


def centroids(member: Member) -> Any:
    model = member.owned(PARTITION).model
    return model.bank.centroids[model.slots.resident["a"]].copy()


def test_a_version_can_be_put_in_force_again_after_others_were_dropped_and_a_restart() -> None:
    scene = Scene(quiet=600)
    refitting, _ = refitting_of(scene.member)
    owned = scene.member.owned(PARTITION)
    for n in range(15):
        version = Version.of(owned.model.bank, np.array([owned.model.slots.resident["a"]]), ["a"])
        version.centroids[:] = 1000.0 + n
        refitting.roll_back(owned, n, version)
        scene.go_on(40)
        scene.member.checkpoint()
    assert owned.model.model_version == 16
    assert sorted(kept_versions(owned)) == list(range(6, 16))
    assert len(owned.store.controls()) == 1 + VERSIONS
    scene.member.__exit__(None, None, None)
    with Member(scene.log, scene.store, DETECTION, models=MODELS) as again:
        again.read(PARTITION)
        _, commands = refitting_of(again)
        (listed,) = commands.list_({})["partitions"]
        assert (listed["version"], listed["kept"]) == (16, list(range(6, 16)))
        commands.roll_back({"to": 8})
        write(scene.log, 40)
        again.read(PARTITION)
        assert again.owned(PARTITION).model.model_version == 17
        assert (centroids(again)[1:] == 1006.0).all(), "version 8 was made by the seventh; no row is near to these"
        assert [each.payload["to"] for each in records(again.owned(PARTITION))][-1] == 8
