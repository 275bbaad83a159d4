from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

import detector.owned
from detector.config.detection import Detection
from detector.config.sections import Alerting, Events, Feature
from detector.errors import RegistryUnavailableError, SourceUnavailableError, StoreFullError
from detector.protocols import Decoder
from detector.sources.memory import MemoryLog, MemorySource
from detector.store.memory import MemoryPartition, MemoryStore
from detector.types import Batch, ControlKind, ControlRecord, Decoded, Partition, Position, Record, Severity
from tests.support.member import BOUND, Member, document, event, json_decoder
from tests.support.models import small
from tests.support.worker import final_state

PARTITION = Partition("readings", 3)
OTHER = Partition("readings", 4)
EPOCH_MS = 1_800_000_000_000
DETECTION = small(alerting=Alerting(false_alarm_rate=1e-2, critical_decades=0.5, reference=1000, warm_up=100))
FAR = event("a", 100.0, 2000.0, 30000.0)


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(keep_rejects=100)


def normal(seed: int, rows: int, host: str = "a") -> list[dict[str, Any]]:
    values = np.random.default_rng(seed).normal([1.0, 20.0, 300.0], [0.1, 2.0, 30.0], (rows, 3))
    return [event(host, *row) for row in values.tolist()]


def append(log: MemoryLog, *events: dict[str, Any], partition: Partition = PARTITION, together: bool = False) -> None:
    """Write events, a second after the last ones: a record each, or all in one."""
    for values in [events] if together else [(one,) for one in events]:
        log.append(partition, document(*values), timestamp=EPOCH_MS + 1000 * log.end(partition))


def outbox(store: MemoryStore, partition: Partition = PARTITION) -> list[dict[str, Any]]:
    opened = store.open(partition)
    bodies = [json.loads(queued.entry.body) for queued in opened.due("sink", math.inf, 1000)]
    opened.close()
    return bodies


def outbox_of(member: Member) -> list[str]:
    return [queued.entry.id for queued in member.owned(PARTITION).store.due("sink", math.inf, 1000)]


def outbox_of_all(member: Member) -> list[dict[str, Any]]:
    return [json.loads(queued.entry.body) for queued in member.owned(PARTITION).store.due("sink", math.inf, 1000)]


def undisturbed(log: MemoryLog, *partitions: Partition) -> tuple[MemoryStore, dict[Partition, tuple[object, ...]]]:
    """Return what one member makes of a log, and the final state of the partitions."""
    store = MemoryStore(keep_rejects=100)
    with Member(log, store, DETECTION) as member:
        member.read(*partitions)
    log.committed.clear()
    return store, final_state(store, partitions)


# --- a configuration that changes in the middle of a record


def other_features() -> Detection:
    """Features of other names: the same rows are good and bad in other places."""
    features = [Feature(name=name) for name in ("g0", "f1", "f2")]
    return Detection(
        Events(features=features, entity="host"),
        DETECTION.blocks,
        DETECTION.entities,
        DETECTION.model,
        DETECTION.alerting,
    )


def changing_at_block(store: MemoryStore, boundary: int, change: Detection) -> None:
    opened = store.open(PARTITION)
    opened.add_control(ControlRecord(0, ControlKind.CONFIGURATION, DETECTION.to_payload()))
    opened.add_control(ControlRecord(boundary, ControlKind.CONFIGURATION, change.to_payload()))
    opened.close()


@pytest.mark.parametrize("bad_before", [{3}, set[int]()])
def test_each_row_of_a_record_counts_once_when_the_configuration_changes_in_it(
    store: MemoryStore, bad_before: set[int]
) -> None:
    events = [event("a", 1.0, 2.0, 3.0, g0=1.0) for _ in range(40)]
    for row in bad_before | {30}:
        events[row]["f0"] = "broken"  # by the first configuration
    for row in (5, 35):
        events[row]["g0"] = "broken"  # by the second
    log = MemoryLog()
    log.append(PARTITION, None, timestamp=EPOCH_MS)
    append(log, *events, together=True)
    log.append(PARTITION, None, None, timestamp=EPOCH_MS)
    changing_at_block(store, 1, other_features())
    with Member(log, store, other_features()) as member:
        member.read(PARTITION)
        assert member.owned(PARTITION).model.open.number == 2
        assert member.sample("events_consumed_total") == 40 - len(bad_before) - 1
        assert member.sample("events_rejected_total", reason="not_a_number") == len(bad_before) + 1
        assert member.sample("events_passed_over_total") == 3
        assert member.sample("dead_letters_total") == 1
        member.checkpoint()
        letters = store._kept[PARTITION].rejects
        assert [(letter.offset, letter.rows) for letter in letters] == [(1, (*bad_before, 35))]
        assert letters[0].reasons == ("not_a_number",) * (len(bad_before) + 1)
        assert letters[0].value == document(*events)


def graded_by(critical_decades: float) -> Detection:
    alerting = DETECTION.alerting.model_copy(update={"critical_decades": critical_decades})
    return Detection(DETECTION.events, DETECTION.blocks, DETECTION.entities, DETECTION.model, alerting)


def test_anomalies_are_graded_by_the_configuration_that_found_them(store: MemoryStore) -> None:
    log = MemoryLog()
    append(log, *normal(1, 1599), FAR, *normal(2, 31))
    changing_at_block(store, 160, graded_by(100.0))  # ten seconds to a block: right behind the one that stands out
    with Member(log, store, graded_by(100.0)) as member:
        member.read(PARTITION)
        assert member.owned(PARTITION).model.detection == graded_by(100.0)
        graded = member.sample("anomalies_total", severity="critical")
    opened = [alert["severity"] for alert in outbox(store) if alert["phase"] == "open"]
    assert graded == opened.count("critical") > 0


# --- alerts


def test_alerts_are_committed_with_the_position_that_they_are_complete_to_inside_a_record_too(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(detector.owned, "PORTION", 8)
    log = MemoryLog()
    append(log, *normal(1, 1000))
    append(log, *normal(2, 20), FAR, *normal(3, 30), together=True)
    with Member(log, store, DETECTION) as member:
        member.read(PARTITION)
        assert member.owned(PARTITION).position == Position(1001)
        assert member.owned(PARTITION).through == Position(1000, 24)
        member.ownership.settle()
        assert member.owned(PARTITION).store.alerts_through() == (Position(1000, 24), 101)
        assert member.sample("alerts_total", state="raised") == len(outbox_of(member))
    last = outbox(store)[-1]
    assert (last["offset"], last["row"]) == (1000, 20)


def test_a_replay_raises_nothing_again_that_is_in_the_outbox(store: MemoryStore) -> None:
    log = MemoryLog()
    append(log, *normal(1, 1000), FAR, *normal(2, 10))
    with Member(log, store, DETECTION) as member:
        member.read(PARTITION)
        member.ownership.settle()  # alerts are durable at once, the checkpoint is still that of the beginning
        alerts = outbox_of(member)
        member.source.lose(PARTITION)
        member.pipeline.turn(0.0)
    assert alerts
    with Member(log, store, DETECTION) as member:
        append(log, *normal(3, 300), FAR)
        member.read(PARTITION)
        member.ownership.settle()
        raised = member.sample("alerts_total", state="raised")
        assert raised == len(outbox_of(member)) - len(alerts) > 0
        opened = sum(member.sample("incidents_total", severity=severity) or 0.0 for severity in Severity)
        assert opened == sum(message["phase"] == "open" for message in outbox_of_all(member))


# --- a schema registry that is away


class Away:
    """A decoder that cannot decode as long as `registry` says so."""

    def __init__(self, decoder: Decoder, registry: list[str]) -> None:
        self._decoder = decoder
        self._registry = registry

    def decode(self, records: Sequence[Record]) -> Decoded:
        if any(record.offset >= 500 for record in records) and self._registry:
            raise RegistryUnavailableError(self._registry[0])
        return self._decoder.decode(records)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What keeps the registry away, empty when it is back."""
    monkeypatch.setattr(detector.owned, "PORTION", 100)
    return ["the registry is away"]


def long_log() -> MemoryLog:
    log = MemoryLog()
    append(log, *normal(1, 900), FAR, *normal(2, 99))
    append(log, *normal(3, 50), partition=OTHER)
    return log


def away(log: MemoryLog, store: MemoryStore, registry: list[str]) -> Member:
    return Member(log, store, DETECTION, decoders=lambda detection: Away(json_decoder(detection), registry))


def test_a_batch_is_kept_while_the_registry_is_away_and_what_came_before_is_saved(
    store: MemoryStore, registry: list[str]
) -> None:
    log = long_log()
    expected, state = undisturbed(log, PARTITION)
    with away(log, store, registry) as member:
        member.source.give(PARTITION)
        for _ in range(3):
            with pytest.raises(RegistryUnavailableError, match="registry is away"):
                member.pipeline.turn(0.0)
        assert member.owned(PARTITION).position == Position(500)
        member.clock.turn(11.0)
        with pytest.raises(RegistryUnavailableError):
            member.pipeline.turn(0.0)
        member.ownership.settle()
        saved = member.owned(PARTITION).store.checkpoint()
        assert saved is not None
        assert saved.position == Position(500)
        registry.clear()
        assert member.pipeline.turn(0.0) == 1000
        assert member.owned(PARTITION).position == Position(1000)
        assert member.sample("events_consumed_total") == 1000
    assert final_state(store, [PARTITION]) == state
    assert outbox(store) == outbox(expected) != []


def test_a_partition_that_is_revoked_while_the_registry_is_away_goes_on_elsewhere(
    store: MemoryStore, registry: list[str]
) -> None:
    log = long_log()
    expected, state = undisturbed(log, PARTITION, OTHER)
    with away(log, store, registry) as left, Member(log, store, DETECTION) as right:
        left.source.give(PARTITION, OTHER)
        with pytest.raises(RegistryUnavailableError):
            left.pipeline.turn(0.0)
        left.source.take(PARTITION)
        left.read(OTHER)  # its batch waited behind the other's
        assert log.committed[PARTITION] == (500, store.id)
        right.read(PARTITION)
        assert right.sample("events_consumed_total") == 500
    assert final_state(store, [PARTITION, OTHER]) == state
    assert outbox(store) == outbox(expected) != []


def test_a_batch_in_hand_is_not_taken_twice_when_its_partition_comes_back(
    store: MemoryStore, registry: list[str]
) -> None:
    log = long_log()
    _, state = undisturbed(log, PARTITION)
    with away(log, store, registry) as member:
        member.source.give(PARTITION)
        with pytest.raises(RegistryUnavailableError):
            member.pipeline.turn(0.0)
        member.source.take(PARTITION)
        member.source.give(PARTITION)
        registry.clear()
        member.read(PARTITION)
        assert member.sample("events_consumed_total") == 1000
    assert final_state(store, [PARTITION]) == state


class Interrupted(MemorySource):
    """Is away when it says so."""

    reason = ""

    def poll(self, timeout: float) -> Sequence[Batch]:
        if self.reason:
            raise SourceUnavailableError(self.reason)
        return super().poll(timeout)


def test_checkpoints_go_on_while_the_source_is_away(store: MemoryStore) -> None:
    log = long_log()
    source = Interrupted(log)
    with Member(log, store, DETECTION, source=source) as member:
        source.give(PARTITION)
        member.pipeline.turn(0.0)
        source.reason = "no route"
        member.clock.turn(11.0)
        for _ in range(2):
            with pytest.raises(SourceUnavailableError, match="no route"):
                member.pipeline.turn(0.0)
            member.ownership.settle()
        assert not member.owned(PARTITION).unsaved
        assert log.committed[PARTITION] == (1000, store.id)


# --- checkpoints


class Slow:
    """Holds a store's checkpoints up until it lets go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        self.go.set()
        commit = MemoryPartition.commit_checkpoint

        def held(store: MemoryPartition, *arguments: Any) -> int:
            assert self.go.wait(BOUND)
            return commit(store, *arguments)

        monkeypatch.setattr(MemoryPartition, "commit_checkpoint", held)


def test_an_offset_is_committed_to_the_log_once_its_checkpoint_is_durable(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, slow = MemoryLog(), Slow(monkeypatch)
    append(log, *normal(1, 50))
    with Member(log, store, DETECTION) as member:
        member.read(PARTITION)
        assert log.committed == {PARTITION: (0, store.id)}
        slow.go.clear()
        member.clock.turn(11.0)
        member.pipeline.turn(0.0)
        append(log, *normal(2, 10))
        member.read(PARTITION)
        assert member.owned(PARTITION).saving
        assert log.committed == {PARTITION: (0, store.id)}
        slow.go.set()
        member.ownership.settle()
        member.pipeline.turn(0.0)
        assert log.committed == {PARTITION: (50, store.id)}
        assert not member.owned(PARTITION).saving
        assert member.sample("checkpoint_duration_seconds_count") == 2


def test_no_checkpoint_begins_before_the_interval_is_over_or_without_progress(store: MemoryStore) -> None:
    log = MemoryLog()
    append(log, *normal(1, 50))
    with Member(log, store, DETECTION) as member:
        member.read(PARTITION)
        member.clock.turn(9.0)
        member.pipeline.turn(0.0)
        assert not member.owned(PARTITION).saving
        member.clock.turn(1.0)
        member.pipeline.turn(0.0)
        member.ownership.settle()
        member.pipeline.turn(0.0)
        assert log.committed[PARTITION][0] == 50
        member.clock.turn(100.0)
        member.pipeline.turn(0.0)
        assert not member.owned(PARTITION).saving


def test_a_slot_that_changes_while_its_copy_is_under_way_is_saved_as_it_was(store: MemoryStore) -> None:
    log = MemoryLog()
    append(log, *normal(1, 300, "a"), *normal(2, 50, "b"))
    _, state = undisturbed(log, PARTITION)
    with Member(log, store, DETECTION) as member:
        member.read(PARTITION)
        owned = member.owned(PARTITION)
        owned.begin_checkpoint(member.clock.monotonic())
        append(log, *normal(3, 100, "a"), *normal(4, 20, "c"))
        member.pipeline._take(owned, Batch(PARTITION, log.records[PARTITION][350:], 470))
        assert owned.model.open.number == 46
        owned.hand_over(member.writer)
        member.ownership.settle()
        member.source.lose(PARTITION)
        member.pipeline.turn(0.0)
    assert final_state(store, [PARTITION]) == state


def test_much_that_is_rejected_is_not_kept_in_memory_until_the_interval_is_over(store: MemoryStore) -> None:
    log = MemoryLog()
    log.append(PARTITION, *[b"x" * (3 << 20)] * 2)
    with Member(log, store, DETECTION) as member:
        member.read(PARTITION)
        member.pipeline.turn(0.0)
        assert not member.owned(PARTITION).saving
        log.append(PARTITION, b"x" * (3 << 20))
        member.read(PARTITION)
        assert member.owned(PARTITION).saving
        member.ownership.settle()
        assert [letter.offset for letter in store._kept[PARTITION].rejects] == [0, 1, 2]


def test_dead_letters_go_to_the_outbox_where_a_topic_wants_them(store: MemoryStore) -> None:
    log = MemoryLog()
    log.append(PARTITION, b"{", b"[]", b"}")
    with Member(log, store, DETECTION, letters_to_topic=True) as member:
        member.read(PARTITION)
        member.checkpoint()
        letters = member.owned(PARTITION).store.due("dead_letters", math.inf, 10)
        assert len(letters) == 2
        assert {queued.entry.kind for queued in letters} == {"dead_letter"}


# --- what fails in the middle


def test_nothing_is_saved_of_a_partition_that_failed_in_the_middle_of_a_batch(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = long_log()
    expected, state = undisturbed(log, PARTITION, OTHER)
    with Member(log, store, DETECTION) as member:
        member.read(OTHER)
        member.source.give(PARTITION)
        monkeypatch.setattr(member.observing, "advanced", _fail)
        with pytest.raises(ZeroDivisionError), capture_logs():
            member.pipeline.turn(0.0)
        member.clock.turn(11.0)
        monkeypatch.undo()
        member.pipeline._fetched.clear()
        member.pipeline.turn(0.0)
        assert not member.owned(PARTITION).saving
        with capture_logs() as said:
            member.source.close()
    assert [line["partition"] for line in said if line["event"] == "checkpoint_abandoned"] == [str(PARTITION)]
    assert log.committed == {PARTITION: (0, store.id), OTHER: (50, store.id)}
    with Member(log, store, DETECTION) as member:
        member.read(PARTITION, OTHER)
    assert final_state(store, [PARTITION, OTHER]) == state
    assert outbox(store) == outbox(expected) != []


def _fail(*_: object) -> None:
    raise ZeroDivisionError


# --- a disk without room


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Whether there is room for checkpoints: none while the list holds a reason."""
    reasons: list[str] = []
    commit = MemoryPartition.commit_checkpoint

    def committed(store: MemoryPartition, *arguments: Any) -> int:
        if reasons:
            raise StoreFullError(reasons[0])
        return commit(store, *arguments)

    monkeypatch.setattr(MemoryPartition, "commit_checkpoint", committed)
    yield reasons
    reasons.clear()


def test_a_partition_is_given_up_without_its_last_checkpoint_where_there_is_no_room(
    store: MemoryStore, full: list[str]
) -> None:
    log = long_log()
    expected, state = undisturbed(log, PARTITION, OTHER)
    with Member(log, store, DETECTION) as member:
        member.read(PARTITION, OTHER)
        full.append("the disk is full")
        member.source.take(PARTITION)
        with capture_logs() as said:
            member.pipeline.turn(0.0)
        assert [line["why"] for line in said if line["event"] == "checkpoint_abandoned"] == ["the disk is full"]
        assert log.committed[PARTITION] == (0, store.id)
        full.clear()
        member.read(PARTITION)  # the writer lives, and what is read again is detected again
    assert final_state(store, [PARTITION, OTHER]) == state
    assert outbox(store) == outbox(expected) != []


class Asked(MemorySource):
    """Notes at which positions of the partitions the next records were asked for."""

    member: Member

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log)
        self.positions: list[list[int]] = []

    def ask(self) -> None:
        self.positions.append([owned.position.offset for owned in self.member.ownership.owned.values()])


def test_the_next_records_are_asked_for_when_all_but_one_batch_are_taken(store: MemoryStore) -> None:
    log = MemoryLog()
    append(log, *normal(0, 20))
    append(log, *normal(1, 20), partition=OTHER)
    source = Asked(log)
    with Member(log, store, DETECTION, source=source) as source.member:
        source.give(PARTITION, OTHER)
        source.member.pipeline.turn(0.0)
        source.member.pipeline.turn(0.0)
        assert sorted(source.positions[0]) == [0, 20]
        assert len(source.positions) == 1, "nothing came that could be waited for"
