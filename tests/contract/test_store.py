"""What every store must do, asked of each implementation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from detector.errors import StoreError, StoreLockedError
from detector.store.memory import MemoryStore
from detector.store.sqlite import SqliteStore
from detector.types import (
    Attempt,
    Checkpoint,
    ControlKind,
    ControlRecord,
    DeadLetter,
    OutboxEntry,
    Outcome,
    Partition,
    Position,
    SlotState,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from detector.protocols import PartitionStore, Store
    from detector.store.memory import MemoryPartition
    from detector.store.sqlite import SqlitePartition

PARTITION = Partition("orders", 3)
KEEP = 5


class Ticking:
    """A clock that moves by one second each time it is asked."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        self.time += 1
        return self.time


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> SqliteStore | MemoryStore:
    made: SqliteStore | MemoryStore
    if request.param == "sqlite":
        made = SqliteStore(tmp_path / "state", keep_rejects=KEEP, now=Ticking())
    else:
        made = MemoryStore(keep_rejects=KEEP, now=Ticking())
    conforming: Store = made  # mypy compares the signatures here
    assert conforming is made
    return made


@pytest.fixture
def opened(store: SqliteStore | MemoryStore) -> Iterator[SqlitePartition | MemoryPartition]:
    partition = store.open(PARTITION)
    yield partition
    partition.close()


def checkpoint(offset: int, header: bytes = b"header") -> Checkpoint:
    return Checkpoint(Position(offset, 2), offset // 256, header, "fingerprint", "topic-id")


def slot(entity: str, state: bytes, last_seen: float = 1.5) -> SlotState:
    return SlotState(entity, last_seen, state)


def entry(number: int, sink: str = "webhook", body: bytes = b"{}") -> OutboxEntry:
    return OutboxEntry(f"id-{number}", sink, "alert", body)


def dead_letter(offset: int) -> DeadLetter:
    return DeadLetter(
        PARTITION,
        offset,
        17,
        None,
        b"\x00raw",
        (("h", b"\xff"), ("h", None)),
        (0, 4),
        ("not_finite", "no_features"),
        "why",
    )


def commit(store: PartitionStore, offset: int, **states: bytes) -> None:
    store.write_slots([slot(entity, state) for entity, state in states.items()])
    store.commit_checkpoint(checkpoint(offset), [], [], [])


# --- the folder


def test_the_id_is_made_once_and_differs_between_stores(store: Store, tmp_path: Path) -> None:
    assert store.id == store.id
    assert store.id
    assert SqliteStore(tmp_path / "another", keep_rejects=1).id != store.id


def test_partitions_are_listed_sorted(store: Store) -> None:
    wanted = [
        Partition("b", 2),
        Partition("a", 10),
        Partition("a", 9),
        Partition("../étrange/%2F.", 0),
        Partition("..", 1),
    ]
    for partition in wanted:
        store.open(partition).close()
    assert store.partitions() == sorted(wanted)
    for partition in wanted:
        opened = store.open(partition)
        assert opened.partition == partition
        opened.close()


def test_an_open_partition_cannot_be_opened_again(store: Store) -> None:
    first = store.open(PARTITION)
    with pytest.raises(StoreLockedError, match="in use"):
        store.open(PARTITION)
    other = store.open(Partition("orders", 4))
    first.close()
    store.open(PARTITION).close()
    other.close()


def test_a_closed_partition_refuses_every_call(store: Store) -> None:
    partition = store.open(PARTITION)
    partition.close()
    partition.close()
    with pytest.raises(StoreError, match="closed"):
        partition.checkpoint()
    with pytest.raises(StoreError, match="closed"):
        partition.write_slots([slot("a", b"1")])
    with pytest.raises(StoreError, match="closed"):
        partition.commit_alerts([], Position(1), 0)
    with pytest.raises(StoreError, match="closed"):
        partition.backlog()


# --- checkpoints and slots


def test_a_new_partition_is_empty(opened: PartitionStore) -> None:
    assert opened.checkpoint() is None
    assert opened.alerts_through() == (Position(0, 0), 0)
    assert list(opened.directory()) == []
    assert opened.read_slots(["a"]) == {}
    assert opened.controls() == []
    assert opened.due("webhook", 1e12, 10) == []
    assert opened.backlog().get("webhook", (0, 0.0, 0)) == (0, 0.0, 0)


def test_a_checkpoint_comes_back_after_a_restart(store: Store) -> None:
    wanted = Checkpoint(Position(2**62, 2**31), 2**40, bytes(range(256)) * 5000, "f" * 1000, "")
    partition = store.open(PARTITION)
    partition.commit_checkpoint(checkpoint(1), [], [], [])
    assert partition.commit_checkpoint(wanted, [], [], []) >= len(wanted.header)
    assert partition.checkpoint() == wanted
    partition.close()
    partition = store.open(PARTITION)
    assert partition.checkpoint() == wanted
    partition.close()


def test_staged_slots_are_invisible_until_the_checkpoint(opened: PartitionStore) -> None:
    commit(opened, 10, a=b"a1", b=b"b1")
    assert opened.write_slots([slot("b", b"b2", 9.0), slot("c", b"c2")]) >= len(b"b2c2")
    opened.write_slots([slot("b", b"b3", 10.0)])
    assert opened.read_slots(["a", "b", "c"]) == {"a": b"a1", "b": b"b1"}
    assert list(opened.directory()) == [("a", 1.5), ("b", 1.5)]
    opened.commit_checkpoint(checkpoint(20), [], [], [])
    assert opened.read_slots(["c", "b", "a", "unknown"]) == {"a": b"a1", "b": b"b3", "c": b"c2"}
    assert list(opened.directory()) == [("a", 1.5), ("b", 10.0), ("c", 1.5)]


def test_the_first_bytes_of_states_can_be_read_alone(opened: PartitionStore) -> None:
    commit(opened, 10, b=b"b1 and more", a=b"a1 and more")
    opened.write_slots([slot("b", b"staged"), slot("c", b"staged")])
    assert list(opened.heads(2)) == [("a", b"a1"), ("b", b"b1")]
    opened.commit_checkpoint(checkpoint(20), [], [], [])
    assert list(opened.heads(3)) == [("a", b"a1 "), ("b", b"sta"), ("c", b"sta")]


def test_staged_slots_are_gone_after_a_restart(store: Store) -> None:
    partition = store.open(PARTITION)
    commit(partition, 10, a=b"a1", b=b"b1")
    commit(partition, 20, b=b"b2")
    partition.write_slots([slot("a", b"lost"), slot("b", b"lost"), slot("c", b"lost")])
    partition.close()
    partition = store.open(PARTITION)
    assert partition.read_slots(["a", "b", "c"]) == {"a": b"a1", "b": b"b2"}
    commit(partition, 30, d=b"d1")
    assert partition.read_slots(["a", "b", "c", "d"]) == {"a": b"a1", "b": b"b2", "d": b"d1"}
    assert [entity for entity, _ in partition.directory()] == ["a", "b", "d"]
    partition.close()


def test_many_generations_keep_the_latest(opened: PartitionStore) -> None:
    for generation in range(1, 8):
        changed = {f"e{n}": f"{generation}-{n}".encode() for n in range(0, 12, generation)}
        commit(opened, generation, **changed)
    expected = {f"e{n}": max(g for g in range(1, 8) if n % g == 0) for n in range(12)}
    assert opened.read_slots(list(expected)) == {e: f"{g}-{e[1:]}".encode() for e, g in expected.items()}


def test_forgotten_entities_go_with_the_checkpoint(opened: PartitionStore) -> None:
    commit(opened, 10, a=b"a1", b=b"b1", c=b"c1")
    opened.write_slots([slot("b", b"b2"), slot("d", b"d2")])
    opened.commit_checkpoint(checkpoint(20), ["b", "c", "unknown"], [], [])
    assert opened.read_slots(["a", "b", "c", "d"]) == {"a": b"a1", "d": b"d2"}
    commit(opened, 30, c=b"c3")
    assert [entity for entity, _ in opened.directory()] == ["a", "c", "d"]


def test_more_slots_than_one_statement_holds_come_back(opened: PartitionStore) -> None:
    states = {f"host-{n:05d}": n.to_bytes(260, "big") for n in range(2501)}
    opened.write_slots(slot(entity, state) for entity, state in states.items())
    opened.commit_checkpoint(checkpoint(1), [], [], [])
    assert opened.read_slots(list(states)) == states
    assert [entity for entity, _ in opened.directory()] == sorted(states)


def test_entities_may_be_any_text(opened: PartitionStore) -> None:
    names = ["", " ", "é", "e\u0301", "日本", "😀", "a\x00b", "a", "A", "'; DROP TABLE slot; --", "x" * 256, "\uffff"]
    opened.write_slots([slot(name, name.encode(), n) for n, name in enumerate(names)])
    opened.commit_checkpoint(checkpoint(1), [], [], [])
    assert opened.read_slots(names) == {name: name.encode() for name in names}
    assert list(opened.directory()) == sorted((name, float(n)) for n, name in enumerate(names))


def test_states_may_change_their_size(opened: PartitionStore) -> None:
    for offset, size in enumerate([0, 100_000, 1, 5000, 260], start=1):
        commit(opened, offset, a=b"x" * size, b=b"y" * (size // 2))
        assert opened.read_slots(["a", "b"]) == {"a": b"x" * size, "b": b"y" * (size // 2)}


def test_the_directory_may_be_read_while_other_things_happen(opened: PartitionStore) -> None:
    commit(opened, 10, a=b"a1", b=b"b1", c=b"c1")
    seen = []
    for entity, _ in opened.directory():
        seen.append(entity)
        opened.read_slots([entity])
        opened.add_control(ControlRecord(1, ControlKind.CONFIGURATION, {"at": entity}))
    assert seen == ["a", "b", "c"]


# --- control records


def test_controls_come_back_in_order(store: Store) -> None:
    wanted = [
        ControlRecord(boundary, ControlKind.CONFIGURATION, {"n": n, "text": "é\x00", "deep": [1.5, None, {"a": True}]})
        for n, boundary in enumerate([2**40, 5, 5, 0])
    ]
    partition = store.open(PARTITION)
    for control in wanted:
        partition.add_control(control)
    assert partition.controls() == wanted
    partition.close()
    partition = store.open(PARTITION)
    assert partition.controls() == wanted
    partition.close()


def test_a_checkpoint_drops_control_records_by_their_places(store: Store) -> None:
    partition = store.open(PARTITION)
    made = [ControlRecord(n, ControlKind.LEARNING, {"n": n}) for n in range(8)]
    for control in made[:6]:
        partition.add_control(control)
    partition.commit_checkpoint(checkpoint(1), [], [], [], spent=[0, 2, 5])
    partition.add_control(made[6])
    assert partition.controls() == [made[1], made[3], made[4], made[6]]
    partition.commit_checkpoint(checkpoint(2), [], [], [], spent=[1, 3])
    partition.commit_checkpoint(checkpoint(3), [], [], [])
    partition.close()
    partition = store.open(PARTITION)
    partition.add_control(made[7])
    assert partition.controls() == [made[1], made[4], made[7]]
    partition.close()


# --- alerts and the outbox


def test_alerts_wait_in_the_outbox_in_order(store: Store) -> None:
    partition = store.open(PARTITION)
    partition.commit_alerts([entry(2), entry(1)], Position(7, 1), 3)
    partition.commit_alerts([entry(3), entry(3, "kafka")], Position(8), 4)
    partition.close()
    partition = store.open(PARTITION)
    assert [queued.entry for queued in partition.due("webhook", 0.0, 10)] == [entry(2), entry(1), entry(3)]
    assert [queued.entry for queued in partition.due("webhook", 0.0, 2)] == [entry(2), entry(1)]
    assert [queued.entry for queued in partition.due("kafka", 0.0, 10)] == [entry(3, "kafka")]
    assert {queued.attempts for queued in partition.due("webhook", 0.0, 10)} == {0}
    assert partition.alerts_through() == (Position(8), 4)
    partition.close()


def test_an_entry_written_twice_is_queued_once(opened: PartitionStore) -> None:
    opened.commit_alerts([entry(1, body=b"first"), entry(1, body=b"second")], Position(7), 3)
    opened.commit_alerts([entry(1, body=b"third"), entry(2)], Position(8), 3)
    opened.commit_checkpoint(checkpoint(9), [], [], [entry(2), entry(1)])
    assert [queued.entry for queued in opened.due("webhook", 0.0, 10)] == [entry(1, body=b"first"), entry(2)]
    assert opened.backlog()["webhook"][0] == 2


def test_alerts_through_never_moves_back(opened: PartitionStore) -> None:
    opened.commit_alerts([], Position(7, 5), 3)
    opened.commit_alerts([entry(1)], Position(7, 4), 2)
    opened.commit_checkpoint(checkpoint(1), [], [], [])
    assert opened.alerts_through() == (Position(7, 5), 3)
    assert len(opened.due("webhook", 0.0, 10)) == 1
    opened.commit_alerts([], Position(2**62, 2**31), 2**50)
    assert opened.alerts_through() == (Position(2**62, 2**31), 2**50)


def test_an_alert_commit_does_not_make_staged_slots_current(opened: PartitionStore) -> None:
    opened.write_slots([slot("a", b"a1")])
    opened.commit_alerts([entry(1)], Position(5), 1)
    assert opened.read_slots(["a"]) == {}
    opened.write_slots([slot("b", b"b1")])
    opened.commit_checkpoint(checkpoint(5), [], [], [])
    assert opened.read_slots(["a", "b"]) == {"a": b"a1", "b": b"b1"}
    assert opened.alerts_through() == (Position(5), 1)


def test_attempts_settle_entries(opened: PartitionStore) -> None:
    opened.commit_alerts([entry(n) for n in range(4)], Position(7), 3)
    queued = opened.due("webhook", 0.0, 10)
    opened.settle(
        [
            (queued[0], Attempt(Outcome.DELIVERED, "200"), 0.0),
            (queued[1], Attempt(Outcome.RETRY, "503", "busy"), 50.0),
            (queued[2], Attempt(Outcome.REFUSED, "400"), 0.0),
            (queued[3], Attempt(Outcome.GONE, "410"), 0.0),
        ]
    )
    assert opened.due("webhook", 49.0, 10) == []
    (again,) = opened.due("webhook", 50.0, 10)
    assert (again.entry, again.attempts, again.due, again.sequence) == (entry(1), 1, 50.0, queued[1].sequence)
    opened.settle([(again, Attempt(Outcome.RETRY, "503"), 60.0)])
    assert opened.due("webhook", 60.0, 10)[0].attempts == 2


def of_incident(number: int, sequence: int, sink: str = "webhook") -> OutboxEntry:
    return entry(number, sink)._replace(id=f"{number:032x}-{sequence}")


def test_what_is_behind_an_earlier_message_of_its_incident_waits_for_it(opened: PartitionStore) -> None:
    sent = [of_incident(1, 1), of_incident(2, 1), of_incident(1, 2), of_incident(2, 2)]
    opened.commit_alerts([*sent, of_incident(1, 3, "kafka")], Position(7), 3)
    first = opened.due("webhook", 0.0, 10)[0]
    opened.settle([(first, Attempt(Outcome.RETRY, "503"), 50.0)])
    assert [queued.entry for queued in opened.due("webhook", 0.0, 10)] == [sent[1], sent[3]]
    assert [queued.entry for queued in opened.due("kafka", 0.0, 10)] == [of_incident(1, 3, "kafka")]
    assert [queued.entry for queued in opened.due("webhook", 50.0, 10)] == sent
    opened.settle([(first, Attempt(Outcome.REFUSED, "400"), 0.0)])
    assert [queued.entry for queued in opened.due("webhook", 0.0, 10)] == sent[1:]


def test_collapsed_only_the_last_message_of_each_incident_is_left(opened: PartitionStore) -> None:
    of_two = [of_incident(1, 1), of_incident(2, 1), of_incident(1, 2), of_incident(1, 3)]
    opened.commit_alerts([*of_two, of_incident(1, 1, "kafka"), of_incident(1, 2, "kafka")], Position(7), 3)
    assert opened.collapse("webhook") == 2
    assert [queued.entry for queued in opened.due("webhook", 0.0, 10)] == [of_two[1], of_two[3]]
    assert {sink: entries for sink, (entries, _, _) in opened.backlog().items()} == {"webhook": 2, "kafka": 2}
    assert opened.collapse("webhook") == 0


def test_messages_of_a_group_wait_for_each_other_and_none_is_collapsed(opened: PartitionStore) -> None:
    sent = [entry(0)._replace(id="a" * 32 + f"-g{number:016x}") for number in range(2)]
    opened.commit_alerts(sent, Position(7), 3)
    assert opened.collapse("webhook") == 0
    first, _ = opened.due("webhook", 0.0, 10)
    opened.settle([(first, Attempt(Outcome.RETRY, "503"), 50.0)])
    assert opened.due("webhook", 0.0, 10) == []


def test_an_entry_that_was_given_up_stays_known(opened: PartitionStore) -> None:
    opened.commit_alerts([entry(1)], Position(7), 3)
    opened.settle([(opened.due("webhook", 0.0, 1)[0], Attempt(Outcome.REFUSED, "400"), 0.0)])
    opened.commit_alerts([entry(1)], Position(8), 3)
    assert opened.due("webhook", 1e12, 10) == []


def test_settling_twice_changes_nothing_more(opened: PartitionStore) -> None:
    opened.commit_alerts([entry(1), entry(2)], Position(7), 3)
    first, second = opened.due("webhook", 0.0, 2)
    opened.settle([(first, Attempt(Outcome.REFUSED, "400"), 0.0), (second, Attempt(Outcome.DELIVERED, "200"), 0.0)])
    opened.settle([(first, Attempt(Outcome.RETRY, "503"), 0.0), (second, Attempt(Outcome.RETRY, "503"), 0.0)])
    assert opened.due("webhook", 1e12, 10) == []
    assert opened.backlog().get("webhook", (0, 0.0, 0)) == (0, 0.0, 0)


def test_the_backlog_counts_what_is_undelivered(opened: PartitionStore) -> None:
    opened.commit_alerts([entry(1, body=b"12345"), entry(1, "kafka", b"1")], Position(7), 3)
    opened.commit_alerts([entry(2, body=b"123"), entry(3, body=b"12"), entry(4, body=b"1")], Position(8), 3)
    opened.commit_checkpoint(checkpoint(9), [], [], [OutboxEntry("d", "dead_letters", "dead_letter", b"12345678")])
    first, second, third, fourth = opened.due("webhook", 0.0, 10)
    assert opened.backlog()["webhook"] == (4, first.created, 11)
    assert opened.backlog()["kafka"] == (1, first.created, 1)
    assert opened.backlog()["dead_letters"][::2] == (1, 8)
    assert second.created > first.created
    opened.settle(
        [
            (first, Attempt(Outcome.DELIVERED, "200"), 0.0),
            (third, Attempt(Outcome.GONE, "410"), 0.0),
            (fourth, Attempt(Outcome.RETRY, "503"), 9.0),
        ]
    )
    assert opened.backlog()["webhook"] == (2, second.created, 4)


# --- dead letters


def test_dead_letters_are_kept_up_to_the_bound(opened: SqlitePartition | MemoryPartition) -> None:
    opened.commit_checkpoint(checkpoint(1), [], [dead_letter(n) for n in range(3)], [])
    assert opened.dead_letters() == [dead_letter(n) for n in range(3)]
    opened.commit_checkpoint(checkpoint(2), [], [dead_letter(n) for n in range(3, 7)], [])
    assert opened.dead_letters() == [dead_letter(n) for n in range(2, 7)]
    opened.commit_checkpoint(checkpoint(3), [], [dead_letter(n) for n in range(7, 30)], [])
    assert opened.dead_letters() == [dead_letter(n) for n in range(25, 30)]
    opened.commit_checkpoint(checkpoint(4), [], [], [])
    assert len(opened.dead_letters()) == KEEP


# --- another log


@pytest.mark.parametrize("keep_state", [True, False])
def test_starting_over_forgets_the_log_and_keeps_what_is_on_its_way(store: Store, *, keep_state: bool) -> None:
    partition = store.open(PARTITION)
    commit(partition, 10, a=b"a1")
    partition.add_control(ControlRecord(1, ControlKind.CONFIGURATION, {}))
    partition.commit_alerts([entry(1)], Position(11), 3)
    partition.start_over(keep_state=keep_state)
    partition.close()
    partition = store.open(PARTITION)
    assert partition.alerts_through() == (Position(0), 0)
    assert len(partition.due("webhook", 0.0, 10)) == 1
    assert (partition.checkpoint() is not None) is keep_state
    assert partition.read_slots(["a"]) == ({"a": b"a1"} if keep_state else {})
    assert len(partition.controls()) == keep_state
    partition.commit_alerts([], Position(2), 1)
    commit(partition, 2, a=b"a2")
    assert partition.alerts_through() == (Position(2), 1)
    assert partition.read_slots(["a"]) == {"a": b"a2"}
    partition.close()
