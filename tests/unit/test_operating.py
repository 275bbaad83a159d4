from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from detector.config.learning import Learning
from detector.errors import CommandError, NotMineError, StoreFullError
from detector.models.partition import PartitionModel
from detector.operating import LearningModes
from detector.sources.memory import MemoryLog
from detector.store.memory import MemoryStore
from detector.types import ControlKind, Partition
from tests.support.member import Member, document, event
from tests.support.models import small

PARTITIONS = (Partition("readings", 3), Partition("readings", 4))
EPOCH_MS = 1_800_000_000_000


def fill(log: MemoryLog, records: int = 60) -> None:
    """Append events of a, b (in the first partition alone) and c (in the second alone), one a second."""
    for partition in PARTITIONS:
        for _ in range(records):
            offset = log.end(partition)
            host = ("a", "b" if partition == PARTITIONS[0] else "c")[offset % 2]
            log.append(partition, document(event(host, offset % 7, 2.0, 3.0)), timestamp=EPOCH_MS + 1000 * offset)


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog()
    fill(log)
    return log


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(keep_rejects=10)


@pytest.fixture
def member(log: MemoryLog, store: MemoryStore) -> Iterator[Member]:
    with Member(log, store, small()) as member:
        member.read(*PARTITIONS)
        yield member


@pytest.fixture
def modes(member: Member) -> LearningModes:
    return LearningModes(member.ownership.owned)


def model(member: Member, n: int = 0) -> PartitionModel:
    return member.owned(PARTITIONS[n]).model


def told(answer: dict[str, Any]) -> list[str]:
    return [each["partition"] for each in answer["partitions"]]


def test_a_mode_is_recorded_at_once_and_counts_from_the_next_block_on(
    member: Member, modes: LearningModes, log: MemoryLog, store: MemoryStore
) -> None:
    boundary = model(member).open.number + 1
    answer = modes.say({"pattern": "b", "mode": "freeze"})
    assert answer == {
        "pattern": "b",
        "mode": "freeze",
        "partitions": [{"partition": "readings/3", "at_block": boundary}],
    }
    record = store._kept[PARTITIONS[0]].controls[-1]
    assert (record.kind, record.boundary) == (ControlKind.LEARNING, boundary)
    (waiting,) = modes.tell({"partition": "readings/3"})["partitions"]
    assert waiting["waiting"] == [{"pattern": "b", "mode": "freeze", "at_block": boundary}]
    assert waiting["entities"] == {"learn": 2, "freeze": 0, "quarantine": 0}
    fill(log, 20)
    member.read(*PARTITIONS)
    (listed,) = modes.tell({"partition": "readings/3", "entity": "b"})["partitions"]
    assert listed["said"] == {"b": "freeze"}
    assert listed["waiting"] == []
    assert listed["entities"] == {"learn": 1, "freeze": 1, "quarantine": 0}
    assert listed["entity"] == {"name": "b", "mode": "freeze", "known": True}


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ({"pattern": "a"}, ["readings/3", "readings/4"]),
        ({"pattern": "c"}, ["readings/4"]),
        ({"pattern": "x*"}, ["readings/3", "readings/4"]),
        ({"pattern": "*"}, ["readings/3", "readings/4"]),
        ({"pattern": "never seen", "partition": "readings/4"}, ["readings/4"]),
    ],
)
def test_the_partitions_that_know_the_entity_are_meant_or_that_which_is_named(
    modes: LearningModes, asked: dict[str, Any], meant: list[str]
) -> None:
    assert told(modes.say({**asked, "mode": "quarantine"})) == meant


def test_it_outlives_the_daemon_and_goes_before_the_configuration(log: MemoryLog, store: MemoryStore) -> None:
    detection = small(learning=Learning(default="quarantine", entities={"b": "learn"}))
    for entity, expected in (("a", "freeze"), ("b", "learn"), ("new", "quarantine")):
        with Member(log, store, detection) as member:
            member.read(*PARTITIONS)
            modes = LearningModes(member.ownership.owned)
            if entity == "a":
                modes.say({"pattern": "a", "mode": "freeze"})
                fill(log, 20)
                member.read(*PARTITIONS)
            listed = modes.tell({"entity": entity, "partition": "readings/3"})["partitions"][0]
            assert listed["entity"]["mode"] == expected
            assert listed["default"] == "quarantine"
            assert listed["configured"] == {"b": "learn"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"pattern": "a", "mode": "frozen"}, "no mode 'frozen'; expected one of learn, freeze, quarantine, default"),
        ({"pattern": "", "mode": "freeze"}, "expected an entity or a pattern of 1 to 1024 bytes"),
        ({"pattern": "ü" * 513, "mode": "freeze"}, "expected an entity or a pattern of 1 to 1024 bytes"),
        ({"mode": "freeze"}, "expected an entity or a pattern"),
    ],
)
def test_what_is_asked_wrongly_is_refused(modes: LearningModes, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        modes.say(asked)


@pytest.mark.parametrize("asked", [{"pattern": "nobody"}, {"pattern": "a", "partition": "readings/9"}])
def test_what_another_daemon_may_own_is_left_to_it(modes: LearningModes, asked: dict[str, Any]) -> None:
    with pytest.raises(NotMineError, match=r"no partition of this daemon knows|not owned by this daemon, which owns"):
        modes.say({**asked, "mode": "freeze"})


def test_a_partition_without_entities_knows_but_all(log: MemoryLog, store: MemoryStore) -> None:
    with Member(log, store, small(keyed=False)) as member:
        member.read(*PARTITIONS)
        modes = LearningModes(member.ownership.owned)
        with pytest.raises(CommandError, match="has no entities"):
            modes.say({"pattern": "a", "mode": "freeze"})
        modes.say({"pattern": "*", "mode": "freeze"})
        fill(log, 20)
        member.read(*PARTITIONS)
        assert model(member).counted().learning == {"learn": 0, "freeze": 1, "quarantine": 0}


def test_without_room_for_the_record_nothing_changes_and_what_was_done_before_is_told(
    member: Member, modes: LearningModes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        message = "no room"
        raise StoreFullError(message)

    monkeypatch.setattr(member.owned(PARTITIONS[1]).store, "add_control", full)
    with pytest.raises(StoreFullError, match=r"^no room \(already done for readings/3\)$"):
        modes.say({"pattern": "*", "mode": "freeze"})
    assert not model(member, 1).waiting


def test_so_many_patterns_are_enough(modes: LearningModes, monkeypatch: pytest.MonkeyPatch, member: Member) -> None:
    monkeypatch.setattr("detector.operating._PATTERNS", 2)
    model(member).learning.said.update({"x": "freeze", "y": "freeze"})
    with pytest.raises(CommandError, match="2 entities and patterns have a mode of their own in readings/3"):
        modes.say({"pattern": "b", "mode": "freeze"})
