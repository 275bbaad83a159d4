from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from detector.errors import LogChangedError, StoreFullError, StoreLockedError
from detector.sources.memory import MemoryLog
from detector.store.memory import MemoryStore
from detector.types import ControlKind, Partition, Position
from tests.support.alerts import TurnedClock
from tests.support.member import Member, document, event
from tests.support.models import small
from tests.support.worker import final_state

PARTITION = Partition("readings", 3)
OTHER = Partition("readings", 4)
EPOCH_MS = 1_800_000_000_000


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(keep_rejects=10)


@pytest.fixture
def log() -> MemoryLog:
    log = MemoryLog("first")
    fill(log, 50)
    return log


def fill(log: MemoryLog, records: int, partition: Partition = PARTITION) -> None:
    for _ in range(records):
        offset = log.end(partition)
        log.append(partition, document(event("a", offset % 7, 2.0, 3.0)), timestamp=EPOCH_MS + 1000 * offset)


def read(log: MemoryLog, store: MemoryStore, **options: Any) -> None:
    """Let a member read everything, and give it up in order."""
    with Member(log, store, small(), **options) as member:
        member.read(PARTITION)


def kept_position(store: MemoryStore) -> Position | None:
    checkpoint = store._kept[PARTITION].checkpoint
    return None if checkpoint is None else checkpoint.position


# --- the lock


class RunningClock(TurnedClock):
    """Runs on each time that it is looked at, and does something at the third time."""

    def __init__(self, step: float, at_third: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self._step = step
        self._looks = 0
        self._at_third = at_third

    def monotonic(self) -> float:
        self._looks += 1
        self.turn(self._step)
        if self._looks == 3:
            self._at_third()
        return super().monotonic()


def test_a_store_that_another_worker_is_letting_go_of_is_waited_for(store: MemoryStore, log: MemoryLog) -> None:
    held = store.open(PARTITION)
    with Member(log, store, small(), clock=RunningClock(0.1, held.close)) as member:
        member.source.give(PARTITION)
        member.pipeline.turn(0.0)
        assert PARTITION in member.ownership.owned


def test_a_store_that_another_worker_keeps_is_refused_in_the_end(store: MemoryStore, log: MemoryLog) -> None:
    held = store.open(PARTITION)
    with Member(log, store, small(), clock=RunningClock(1.0)) as member:
        member.source.give(PARTITION)
        with pytest.raises(StoreLockedError):
            member.pipeline.turn(0.0)
        assert member.ownership.owned == {}
    held.close()


# --- coming and going


def test_a_partition_begins_where_the_configuration_says_and_that_is_durable_at_once(
    store: MemoryStore, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = log.facts(PARTITION)
    monkeypatch.setattr(log, "facts", lambda _: replace(facts, start=20))
    with Member(log, store, small()) as member:
        member.source.give(PARTITION)
        member.source.poll(0.0)
        assert kept_position(store) == Position(20)
        assert member.owned(PARTITION).position == Position(20)
        assert member.outboxes.stores == [member.owned(PARTITION).store]
        assert member.sample("rebalances_total") == 1


def test_what_is_revoked_is_saved_committed_and_let_go_of(store: MemoryStore, log: MemoryLog) -> None:
    with Member(log, store, small()) as member:
        member.read(PARTITION)
        assert member.sample("kafka_consumer_lag_records", topic="readings", partition="3") == 0
        member.source.take(PARTITION)
        member.pipeline.turn(0.0)
        assert kept_position(store) == Position(50)
        assert log.committed[PARTITION] == (50, store.id)
        assert member.ownership.owned == {}
        assert member.outboxes.stores == []
        assert member.sample("kafka_consumer_lag_records", topic="readings", partition="3") is None
        assert member.sample("rebalances_total") == 2
        store.open(PARTITION).close()


def test_what_was_lost_is_let_go_of_without_a_word_to_store_or_log(store: MemoryStore, log: MemoryLog) -> None:
    with Member(log, store, small()) as member:
        member.read(PARTITION)
        before = final_state(MemoryStoreView(store), [PARTITION])
        member.source.lose(PARTITION)
        member.pipeline.turn(0.0)
        assert member.outboxes.stores == []
    assert kept_position(store) == Position(0)
    assert final_state(store, [PARTITION]) == before
    assert log.committed == {PARTITION: (0, store.id)}


class MemoryStoreView(MemoryStore):
    """The same store, opened a second time: to look at what is in it while it is held."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(keep_rejects=10)
        self._kept = store._kept


def test_a_member_goes_on_where_the_last_one_saved(store: MemoryStore, log: MemoryLog) -> None:
    read(log, store)
    fill(log, 10)
    with Member(log, store, small()) as member, capture_logs() as said:
        member.read(PARTITION)
        assert member.sample("events_consumed_total") == 10
    assigned = next(line for line in said if line["event"] == "partition_assigned")
    assert assigned["reads_from"] == Position(50)
    assert assigned["entities"] == 1


def test_a_source_that_cannot_be_replayed_goes_on_behind_what_has_alerted(store: MemoryStore, log: MemoryLog) -> None:
    read(log, store)
    opened = store.open(PARTITION)
    opened.commit_alerts([], Position(60), 7)
    opened.close()
    fill(log, 20)
    for replayable, position in ((True, 50), (False, 60)):
        with Member(log, store, small(), replayable=replayable) as member:
            member.source.give(PARTITION)
            member.source.poll(0.0)
            assert member.owned(PARTITION).position == Position(position)
            member.source.lose(PARTITION)
            member.pipeline.turn(0.0)


# --- a log or a program that is not the one of the checkpoint


@pytest.fixture
def made_anew(store: MemoryStore, log: MemoryLog) -> MemoryLog:
    """Return another topic of the same name than the one that the store has read."""
    read(log, store)
    opened = store.open(PARTITION)
    opened.commit_alerts([], Position(50), 5)
    opened.close()
    another = MemoryLog("second")
    fill(another, 30)
    return another


def test_another_log_stops_the_daemon_and_leaves_the_store_as_it_was(store: MemoryStore, made_anew: MemoryLog) -> None:
    before = final_state(store, [PARTITION])
    with Member(made_anew, store, small()) as member:
        member.source.give(PARTITION)
        with pytest.raises(LogChangedError, match=r"readings/3: the topic was deleted and made anew"):
            member.pipeline.turn(0.0)
    assert final_state(store, [PARTITION]) == before
    assert store._kept[PARTITION].through == Position(50)


def test_cold_forgets_the_state_and_begins_at_the_start(store: MemoryStore, made_anew: MemoryLog) -> None:
    with capture_logs() as said, Member(made_anew, store, small(), policy="cold") as member:
        member.source.give(PARTITION)
        member.source.poll(0.0)
        owned = member.owned(PARTITION)
        assert (owned.position, owned.through) == (Position(0), Position(0))
        assert len(owned.model.slots) == 0
        assert owned.place.topic_id == "second"
    assert [line["start"] for line in said if line["event"] == "log_changed"] == ["cold"]
    fresh = MemoryStore(keep_rejects=10)
    read(made_anew, store)
    made_anew.committed.clear()
    read(made_anew, fresh)
    assert final_state(store, [PARTITION]) == final_state(fresh, [PARTITION])


def test_resume_keeps_the_state_and_begins_at_what_there_is(store: MemoryStore, made_anew: MemoryLog) -> None:
    with Member(made_anew, store, small(), policy="resume") as member:
        member.source.give(PARTITION)
        member.source.poll(0.0)
        owned = member.owned(PARTITION)
        assert (owned.position, owned.through) == (Position(0), Position(0))
        assert len(owned.model.slots) == 1
        member.source.lose(PARTITION)
        member.pipeline.turn(0.0)
    checkpoint = store._kept[PARTITION].checkpoint
    assert checkpoint is not None
    assert checkpoint.topic_id == "second"
    read(made_anew, store)  # it is the log of the checkpoint from now on


def test_a_checkpoint_of_another_program_is_warned_of_once(store: MemoryStore, log: MemoryLog) -> None:
    read(log, store, fingerprint="old")
    for warnings in (1, 0):
        fill(log, 1)
        with capture_logs() as said:
            read(log, store, fingerprint="new")
        found = [line for line in said if line["event"] == "fingerprint_changed"]
        assert len(found) == warnings
        assert all((line["was"], line["now"]) == ("old", "new") for line in found)


# --- the configuration


def test_the_first_configuration_is_recorded_and_another_one_takes_effect_at_the_next_boundary(
    store: MemoryStore, log: MemoryLog
) -> None:
    read(log, store)
    controls = store._kept[PARTITION].controls
    assert [(control.boundary, control.kind) for control in controls] == [(0, ControlKind.CONFIGURATION)]
    open_block = 4  # fifty seconds, ten to a block
    change = small(seed_rows=10)
    with Member(log, store, change) as member:
        fill(log, 9)
        member.read(PARTITION)
        model = member.owned(PARTITION).model
        assert [control.boundary for control in controls] == [0, open_block + 1]
        assert (model.open.number, model.detection, model.model_version) == (open_block + 1, change, 2)
    read(log, store)  # and back again: never at a block that has alerted or is open
    controls = store._kept[PARTITION].controls  # the first went with a checkpoint that says what came of it
    assert [control.boundary for control in controls] == [open_block + 1, open_block + 2]


def test_a_configuration_changes_behind_the_block_that_alerted_last(store: MemoryStore, log: MemoryLog) -> None:
    read(log, store)
    opened = store.open(PARTITION)
    opened.commit_alerts([], Position(50), 9)  # the daemon died before the checkpoint of block 9
    opened.close()
    read(log, store)
    with Member(log, store, small(seed_rows=10)) as member:
        member.source.give(PARTITION)
        member.source.poll(0.0)
        assert store._kept[PARTITION].controls[-1].boundary == 10


def test_a_control_record_takes_effect_behind_what_is_open_or_has_alerted_or_waits_already(
    store: MemoryStore, log: MemoryLog
) -> None:
    payload = small().to_payload()
    with Member(log, store, small()) as member:
        member.read(PARTITION)
        owned, open_block = member.owned(PARTITION), 4
        assert owned.model.open.number == open_block
        record = owned.control(ControlKind.CONFIGURATION, payload)
        assert record == store._kept[PARTITION].controls[-1]
        assert record.boundary == open_block + 1
        assert list(owned.model.waiting) == [record]
        fill(log, 20)
        member.read(PARTITION)
        assert not owned.model.waiting
        assert owned.model.open.number == open_block + 2
    opened = store.open(PARTITION)
    opened.commit_alerts([], Position(70), 9)  # what has alerted since the checkpoint is replayed at first
    opened.close()
    with Member(log, store, small()) as member:
        member.source.give(PARTITION)
        member.source.poll(0.0)
        assert member.owned(PARTITION).control(ControlKind.CONFIGURATION, payload).boundary == 10
        member.source.lose(PARTITION)
        member.pipeline.turn(0.0)
    opened = store.open(PARTITION)
    opened.add_control(replace(record, boundary=50))
    opened.close()
    with Member(log, store, small()) as member:
        member.source.give(PARTITION)
        member.source.poll(0.0)
        assert member.owned(PARTITION).control(ControlKind.CONFIGURATION, payload).boundary == 50


def test_a_control_record_for_which_there_is_no_room_changes_nothing(
    store: MemoryStore, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Member(log, store, small()) as member:
        member.read(PARTITION)
        owned = member.owned(PARTITION)

        def full(_: object) -> None:
            raise StoreFullError

        monkeypatch.setattr(owned.store, "add_control", full)
        with pytest.raises(StoreFullError):
            owned.control(ControlKind.CONFIGURATION, small().to_payload())
        assert not owned.model.waiting


def test_a_configuration_that_is_the_same_is_not_recorded_again(store: MemoryStore, log: MemoryLog) -> None:
    for _ in range(3):
        read(log, store)
    assert len(store._kept[PARTITION].controls) == 1


def test_a_configuration_given_to_a_running_worker_takes_effect_at_the_next_boundary_of_each_partition(
    store: MemoryStore, log: MemoryLog
) -> None:
    fill(log, 35, OTHER)
    with Member(log, store, small()) as member:
        member.read(PARTITION, OTHER)
        change = small(seed_rows=10)
        assert member.ownership.reconfigure(change) == {PARTITION: 5, OTHER: 4}
        assert member.ownership.reconfigure(change) == {}, "it has been said"
        assert member.owned(PARTITION).model.detection == small(), "the open block is not over"
        fill(log, 10)
        fill(log, 10, OTHER)
        member.read(PARTITION, OTHER)
        assert [member.owned(each).model.detection for each in (PARTITION, OTHER)] == [change, change]
    read(log, store)  # a partition that comes back to a worker with the file as it was
    assert store._kept[PARTITION].controls[-1].payload == small().to_payload()


def test_partitions_that_come_later_begin_with_the_configuration_given_last(store: MemoryStore, log: MemoryLog) -> None:
    with Member(log, store, small()) as member:
        member.ownership.reconfigure(small(seed_rows=10))
        member.read(PARTITION)
        assert member.owned(PARTITION).model.detection == small(seed_rows=10)


def test_where_there_is_no_room_for_a_configuration_it_is_told_who_has_it(
    store: MemoryStore, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        message = "no room"
        raise StoreFullError(message)

    fill(log, 35, OTHER)
    with Member(log, store, small()) as member:
        member.read(PARTITION, OTHER)
        with monkeypatch.context() as patch:
            patch.setattr(member.owned(OTHER).store, "add_control", full)
            with pytest.raises(StoreFullError, match=r"no room \(already changed: readings/3; reload again\)"):
                member.ownership.reconfigure(small(seed_rows=10))
        assert member.ownership.reconfigure(small(seed_rows=10)) == {OTHER: 4}


# --- the number of partitions that share the alert budget


def test_the_budget_is_shared_among_as_many_partitions_as_the_source_tells_from_a_boundary_on(
    store: MemoryStore, log: MemoryLog
) -> None:
    def shared(member: Member) -> list[tuple[int, object]]:
        controls = member.owned(PARTITION).store.controls()
        return [(one.boundary, one.payload) for one in controls if one.kind is ControlKind.PARTITIONS]

    read(log, store)
    with Member(log, store, small()) as member:
        member.read(PARTITION)
        assert shared(member) == [], "one is what is taken for granted"
        member.source.take(PARTITION)
        member.pipeline.turn(0.0)
        fill(log, 100, OTHER)
        member.read(OTHER, PARTITION)
        owned = member.owned(PARTITION)
        (record,) = shared(member)
        assert record == (5, {"partitions": 2})
        assert (owned.partitions, owned.model.budget.running.partitions) == (2, 1)
        fill(log, 30)
        member.read(PARTITION)
        assert owned.model.budget.running.partitions == 2
    with Member(log, store, small()) as member:
        member.read(PARTITION)
        assert shared(member) == [], "it is in force already, and the checkpoint has it"
        assert member.owned(PARTITION).partitions == 2


def test_partitions_that_were_taken_over_before_learn_of_new_ones(store: MemoryStore, log: MemoryLog) -> None:
    with Member(log, store, small()) as member:
        member.read(PARTITION)
        fill(log, 100, OTHER)
        member.read(OTHER)
        assert [member.owned(each).partitions for each in (PARTITION, OTHER)] == [2, 2]
