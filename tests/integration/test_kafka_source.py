"""The Kafka source on a real broker: where it begins, what it is given and taken, and what it does in trouble."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
import structlog
from kafka import KafkaConsumer, TopicPartition

from detector.errors import LogChangedError, SourceError, SourceUnavailableError
from detector.types import LogFacts, Partition, Position
from tests.support.assignment import Reader, RecordingAssignment
from tests.support.broker import Broker, Cluster, free_port, wait_until
from tests.support.fixtures import BrokerFactory
from tests.support.sources import kafka_source

ReaderFactory = Callable[..., Reader]


@pytest.fixture
def read() -> Iterator[ReaderFactory]:
    """Make readers of Kafka sources, closed at the end."""
    readers: list[Reader] = []

    def make(cluster: Cluster, assignment: RecordingAssignment | None = None, **section: Any) -> Reader:
        readers.append(Reader(kafka_source(cluster, **section), assignment))
        return readers[-1]

    yield make
    for reader in readers:
        reader.source.close()


def calmly(reader: Reader) -> list[bytes | None]:
    """Poll once, as the daemon does: a source that is away is no reason to stop."""
    try:
        reader.turn()
    except SourceUnavailableError:
        return []
    return reader.values


def patiently(reader: Reader, condition: Callable[[], bool]) -> None:
    def turned() -> bool:
        calmly(reader)
        return condition()

    wait_until(turned, "the source", 60)


def together(readers: list[Reader], condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Let each member poll on a thread of its own, as daemons do in their processes, until something is the case."""
    ended = Event()

    def poll(reader: Reader) -> None:
        while not ended.is_set():
            calmly(reader)

    with ThreadPoolExecutor(len(readers)) as pool:
        members = [pool.submit(poll, reader) for reader in readers]
        try:
            wait_until(lambda: condition() or any(member.done() for member in members), what, seconds)
        finally:
            ended.set()
    for member in members:
        member.result()


def numbers(first: int, behind: int) -> list[bytes | None]:
    return [b"%d" % n for n in range(first, behind)]


def refuse(expected: type[LogChangedError] = LogChangedError) -> Callable[[Partition, LogFacts], None]:
    """Judge as the daemon does with `on_log_changed: stop`: the log must be the one of the first assignment."""
    first: dict[Partition, str] = {}

    def judge(partition: Partition, log: LogFacts) -> None:
        if first.setdefault(partition, log.topic_id) != log.topic_id:
            message = f"{partition}: the topic was made anew"
            raise expected(message)

    return judge


# --- where it begins


def test_begins_at_the_earliest_offset_that_is_left(broker: Cluster, read: ReaderFactory) -> None:
    topic = broker.create_topic()
    broker.produce(topic, numbers(0, 10), partition=0)
    broker.delete_records(topic, 0, 4)
    assert read(broker, topics=[topic]).read(6) == numbers(4, 10)


def test_begins_at_the_latest_offset(broker: Cluster, read: ReaderFactory) -> None:
    topic = broker.create_topic()
    broker.produce(topic, numbers(0, 10), partition=0)
    reader = read(broker, topics=[topic], start="latest")
    reader.until(lambda: bool(reader.assignment.owned), "the partition")
    broker.produce(topic, numbers(10, 12), partition=0)
    assert reader.read(2) == numbers(10, 12)


def test_begins_at_a_time_and_at_the_end_where_nothing_is_as_late(broker: Cluster, read: ReaderFactory) -> None:
    topic = broker.create_topic(partitions=2)
    for n in range(4):
        broker.produce(topic, numbers(n, n + 1), partition=0, timestamp_ms=1_700_000_000_000 + n * 1000)
    broker.produce(topic, [b"old"], partition=1, timestamp_ms=1_600_000_000_000)
    reader = read(broker, topics=[topic], start="2023-11-14T22:13:22Z")
    assert reader.read(2) == numbers(2, 4)
    broker.produce(topic, [b"new"], partition=1)
    assert reader.read(3) == [*numbers(2, 4), b"new"]


def test_begins_where_the_checkpoint_says_whatever_was_committed(broker: Cluster, read: ReaderFactory) -> None:
    topic = broker.create_topic()
    broker.produce(topic, numbers(0, 10), partition=0)
    answers = {Partition(topic, 0): Position(7, 3)}
    assert read(broker, RecordingAssignment(answers=answers), topics=[topic], start="latest").read(3) == numbers(7, 10)


def test_a_position_outside_the_log_is_never_passed_over(broker: Cluster, read: ReaderFactory) -> None:
    topic = broker.create_topic()
    broker.produce(topic, numbers(0, 3), partition=0)
    reader = read(broker, RecordingAssignment(answers={Partition(topic, 0): Position(99)}), topics=[topic])
    with pytest.raises(
        LogChangedError, match=re.escape(f"{topic}/0 was to be read from offset 99, but its log holds 0")
    ):
        reader.read(1)
    assert not reader.assignment.owned


# --- what the log tells


def test_the_assignment_is_told_what_identifies_the_log(broker: Cluster, read: ReaderFactory) -> None:
    topic = broker.create_topic()
    broker.produce(topic, numbers(0, 10), partition=0)
    broker.delete_records(topic, 0, 4)
    reader = read(broker, topics=[topic])
    reader.read(6)
    log = reader.assignment.facts[Partition(topic, 0)]
    assert (log.earliest, log.end, log.committed, log.committed_store) == (4, 10, None, "")
    assert re.fullmatch(r"[0-9a-f-]{36}", log.topic_id)


def test_committed_offsets_carry_the_stores_id(broker: Cluster, read: ReaderFactory) -> None:
    topic, group = broker.create_topic(), broker.topic_name("group")
    broker.produce(topic, numbers(0, 10), partition=0)
    first = read(broker, topics=[topic], group=group)
    first.read(10)
    first.source.commit({Partition(topic, 0): Position(6, 2)}, "one")

    def committed() -> bool:
        first.turn()
        with broker.admin() as admin:
            return bool(admin.list_group_offsets([group])[group])

    wait_until(committed, "the commit")
    first.source.close()
    second = read(broker, topics=[topic], group=group)
    second.read(10)
    log = second.assignment.facts[Partition(topic, 0)]
    assert (log.committed, log.committed_store) == (6, "one")


def test_what_is_committed_while_closing_has_arrived(broker: Cluster, read: ReaderFactory) -> None:
    topic, group = broker.create_topic(), broker.topic_name("group")
    broker.produce(topic, numbers(0, 5), partition=0)
    assignment = RecordingAssignment()
    first = read(broker, assignment, topics=[topic], group=group)
    assignment.on_revoked = lambda partition: first.source.commit({partition: Position(5)}, "one")
    first.read(5)
    first.source.close()
    second = read(broker, topics=[topic], group=group)
    second.until(lambda: bool(second.assignment.facts), "the partition")
    assert second.assignment.facts[Partition(topic, 0)].committed == 5


def test_an_offset_of_another_program_is_no_stores(broker: Cluster, read: ReaderFactory) -> None:
    topic, group = broker.create_topic(), broker.topic_name("group")
    broker.produce(topic, numbers(0, 5), partition=0)
    other = KafkaConsumer(bootstrap_servers=broker.bootstrap, group_id=group, enable_auto_commit=False)
    other.assign([TopicPartition(topic, 0)])
    other.seek(TopicPartition(topic, 0), 2)
    other.commit()
    other.close()
    reader = read(broker, topics=[topic], group=group)
    reader.read(5)
    log = reader.assignment.facts[Partition(topic, 0)]
    assert (log.committed, log.committed_store) == (2, "")


def test_aborted_transactions_are_hidden_and_the_log_goes_on_behind_them(broker: Cluster, read: ReaderFactory) -> None:
    topic = broker.create_topic()
    for value, keep in ((b"kept", True), (b"aborted", False), (b"kept too", True)):
        with broker.producer(transactional_id=broker.topic_name("tx")) as producer:
            producer.init_transactions()
            producer.begin_transaction()
            producer.send(topic, value, partition=0).get(timeout=10)
            (producer.commit_transaction if keep else producer.abort_transaction)()
    reader = read(broker, topics=[topic])
    assert reader.read(2) == [b"kept", b"kept too"]
    reader.until(lambda: reader.next[Partition(topic, 0)] == 6, "the end behind the last marker")
    assert read(broker, topics=[topic], isolation="read_uncommitted").read(3) == [b"kept", b"aborted", b"kept too"]


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_records_are_read(broker: Cluster, read: ReaderFactory, compression: str) -> None:
    topic = broker.create_topic()
    broker.produce(topic, numbers(0, 50), partition=0, compression=compression)
    assert read(broker, topics=[topic]).read(50) == numbers(0, 50)


def test_fetches_are_bounded(broker: Cluster, read: ReaderFactory) -> None:
    topic = broker.create_topic()
    broker.produce(topic, numbers(0, 100), partition=0)
    reader = read(broker, topics=[topic], max_poll_records=7)
    while reader.count < 100:
        assert sum(len(batch.records) for batch in reader.turn()) <= 7


# --- topics and partitions that come


def test_a_pattern_matches_whole_names_and_picks_up_new_topics(broker: Cluster, read: ReaderFactory) -> None:
    stem = broker.topic_name("plant")
    first, longer = broker.create_topic(f"{stem}-1"), broker.create_topic(f"{stem}-1-raw")
    reader = read(broker, pattern=f"{stem}-[0-9]")
    broker.produce(first, [b"a"], partition=0)
    broker.produce(longer, [b"x"], partition=0)
    reader.read(1)
    second = broker.create_topic(f"{stem}-2")
    broker.produce(second, [b"b"], partition=0)
    assert reader.read(2) == [b"a", b"b"]
    assert reader.assignment.owned == {Partition(first, 0), Partition(second, 0)}


def test_new_partitions_are_picked_up_and_the_old_ones_kept(broker: Cluster, read: ReaderFactory) -> None:
    topic = broker.create_topic()
    broker.produce(topic, [b"a"], partition=0)
    reader = read(broker, topics=[topic])
    reader.read(1)
    broker.add_partitions(topic, 2)
    reader.until(lambda: Partition(topic, 1) in reader.assignment.owned, "the new partition")
    broker.produce(topic, [b"b"], partition=1)
    assert reader.read(2) == [b"a", b"b"]
    assert reader.assignment.events == [("assigned", Partition(topic, 0)), ("assigned", Partition(topic, 1))]


def test_a_topic_that_does_not_exist_is_told_and_waited_for_and_not_made(broker: Cluster, read: ReaderFactory) -> None:
    topic = broker.topic_name()
    reader = read(broker, topics=[topic])
    with pytest.raises(
        SourceUnavailableError, match=rf"has no topic {topic}; create it, or correct source.topics \(since"
    ):
        reader.read(1)
    with broker.admin() as admin:
        assert topic not in admin.list_topics()
    broker.create_topic(topic)
    broker.produce(topic, [b"a"], partition=0)
    wait_until(lambda: bool(calmly(reader)), "the first record")


def test_a_topic_that_is_absent_beside_others_is_said_once_and_read_when_it_comes(
    broker: Cluster, read: ReaderFactory
) -> None:
    here, absent = broker.create_topic(), broker.topic_name()
    broker.produce(here, [b"a"], partition=0)
    with structlog.testing.capture_logs() as log:
        reader = read(broker, topics=[here, absent])
        reader.until(lambda: bool(log), "the warning")
        for _ in range(10):
            reader.turn()
    assert [entry["topics"] for entry in log] == [[absent]]
    broker.create_topic(absent)
    broker.produce(absent, [b"b"], partition=0)
    reader.read(2)


def test_a_pattern_that_matches_nothing_is_told(broker: Cluster, read: ReaderFactory) -> None:
    reader = read(broker, pattern="nothing-[0-9]+")
    with pytest.raises(SourceUnavailableError, match=r"has no topic that source\.pattern"):
        reader.read(1)


def test_an_idle_topic_is_no_trouble(broker: Cluster, read: ReaderFactory) -> None:
    reader = read(broker, topics=[broker.create_topic()])
    reader.until(lambda: bool(reader.assignment.owned), "the partition")
    for _ in range(15):  # longer than a moment of trouble is borne
        assert not reader.turn(0.2)


# --- several members


def test_a_second_member_gets_its_share_and_only_what_moves_is_revoked(broker: Cluster, read: ReaderFactory) -> None:
    topic, group = broker.create_topic(partitions=4), broker.topic_name("group")
    everything = {Partition(topic, n) for n in range(4)}
    first = read(broker, topics=[topic], group=group)
    first.until(lambda: first.assignment.owned == everything, "all partitions")
    second_assignment = RecordingAssignment()
    gone: list[bool] = []
    first.assignment.on_revoked = lambda partition: gone.append(partition in second_assignment.owned)
    second = read(broker, second_assignment, topics=[topic], group=group)

    together([first, second], lambda: len(second.assignment.owned) == 2, "two partitions each")
    assert sorted(first.assignment.told("revoked")) == sorted(second.assignment.owned)
    assert gone == [False, False], "a partition was given away before it was given up"
    assert first.assignment.owned | second.assignment.owned == everything
    assert not first.assignment.told("lost")

    second.source.close()
    first.until(lambda: first.assignment.owned == everything, "all partitions again")


def test_records_fetched_before_a_revoke_are_not_handed_on_after_it(broker: Cluster, read: ReaderFactory) -> None:
    # `Reader` asserts with every batch that its partition is owned. Small polls keep fetched records waiting, and
    # the first member has so many that they are still waiting when its partitions move.
    topic, group = broker.create_topic(partitions=4), broker.topic_name("group")
    for n in range(4):
        broker.produce(topic, numbers(0, 2000), partition=n)
    first = read(broker, topics=[topic], group=group, max_poll_records=10)
    first.read(100)
    first.linger = 0.02
    moved: dict[Partition, Position] = {}
    first.assignment.on_revoked = lambda p: moved.update({p: Position(first.next.get(p, 0))})
    second = read(broker, RecordingAssignment(answers=moved), topics=[topic], group=group, max_poll_records=10)

    together([first, second], lambda: bool(moved), "partitions that move")
    first.linger = 0.0
    together([first, second], lambda: first.count + second.count >= 8_000, "all records")
    assert moved
    for n in range(4):
        partition = Partition(topic, n)
        values = [r.value for reader in (first, second) for r in reader.records.get(partition, [])]
        assert values == numbers(0, 2000), "each record once, the second member's after the first's"


def test_a_static_member_that_returns_moves_nothing(broker: Cluster, read: ReaderFactory) -> None:
    topic, group = broker.create_topic(partitions=2), broker.topic_name("group")
    first = read(broker, topics=[topic], group=group, instance_id="one")
    second = read(broker, topics=[topic], group=group, instance_id="two")

    owned = (first.assignment.owned, second.assignment.owned)
    together([first, second], lambda: len(owned[0]) == len(owned[1]) == 1, "one partition each")
    before, had = list(first.assignment.events), set(second.assignment.owned)
    second.source.close()
    again = read(broker, topics=[topic], group=group, instance_id="two")

    together([first, again], lambda: bool(again.assignment.owned), "the second member's return")
    assert again.assignment.owned == had
    assert first.assignment.events == before


def test_a_second_member_of_the_same_name_ends_the_first(broker: Cluster, read: ReaderFactory) -> None:
    topic, group = broker.create_topic(), broker.topic_name("group")
    first = read(broker, topics=[topic], group=group, instance_id="one")
    first.until(lambda: bool(first.assignment.owned), "the partition")
    second = read(broker, topics=[topic], group=group, instance_id="one")
    second.until(lambda: bool(second.assignment.owned), "the partition")

    def commit() -> bool:
        first.source.commit({Partition(topic, 0): Position(0)}, "store")
        first.turn()
        return False

    with pytest.raises(SourceError, match=r"another member of group .* has taken source\.instance_id one"):
        wait_until(commit, "the first to notice")
    assert first.assignment.told("lost") == [Partition(topic, 0)]


def test_a_member_that_was_away_for_too_long_has_lost_its_partitions(broker: Cluster, read: ReaderFactory) -> None:
    topic, group = broker.create_topic(), broker.topic_name("group")
    broker.produce(topic, numbers(0, 5), partition=0)
    first = read(broker, topics=[topic], group=group, max_poll_interval=1.0, session_timeout=6.0)
    first.read(5)
    second = read(broker, topics=[topic], group=group)
    second.until(lambda: bool(second.assignment.owned), "the partition of the silent member")
    first.until(lambda: bool(first.assignment.told("lost")), "the loss")
    assert not first.assignment.told("revoked")
    assert not first.assignment.owned


def test_a_paused_member_stays_in_the_group(broker: Cluster, read: ReaderFactory) -> None:
    topic, group = broker.create_topic(), broker.topic_name("group")
    reader = read(broker, topics=[topic], group=group, max_poll_interval=1.0, session_timeout=1.0)
    reader.until(lambda: bool(reader.assignment.owned), "the partition")
    reader.source.pause()
    broker.produce(topic, [b"a"], partition=0)
    for _ in range(15):
        assert not reader.turn(0.2)
    reader.source.resume()
    reader.read(1)
    assert reader.assignment.events == [("assigned", Partition(topic, 0))]


# --- logs that change


def test_a_deleted_topic_is_revoked_and_told_of_when_it_is_made_anew(broker: Cluster, read: ReaderFactory) -> None:
    topic = broker.create_topic()
    broker.produce(topic, numbers(0, 10), partition=0)
    reader = read(broker, RecordingAssignment(judge=refuse()), topics=[topic])
    reader.read(10)
    broker.delete_topic(topic)
    patiently(reader, lambda: not reader.assignment.owned)
    broker.create_topic(topic)
    broker.produce(topic, numbers(100, 200), partition=0)
    with pytest.raises(LogChangedError, match="the topic was made anew"):
        patiently(reader, lambda: False)
    assert reader.values == numbers(0, 10)
    assert reader.assignment.events == [("assigned", Partition(topic, 0)), ("revoked", Partition(topic, 0))]


@pytest.mark.parametrize("records", [5, 100])
def test_a_topic_made_anew_between_two_polls_is_told(broker: Cluster, read: ReaderFactory, records: int) -> None:
    # A new log that has grown past the position already may be read until the metadata tells; never for longer.
    topic = broker.create_topic()
    broker.produce(topic, numbers(0, 10), partition=0)
    reader = read(broker, RecordingAssignment(judge=refuse()), topics=[topic])
    reader.read(10)
    broker.delete_topic(topic)
    broker.create_topic(topic)
    broker.produce(topic, numbers(100, 100 + records), partition=0)
    with pytest.raises(LogChangedError, match="the topic was made anew"):
        patiently(reader, lambda: False)
    assert reader.values[:10] == numbers(0, 10)
    assert reader.assignment.told("revoked") == [Partition(topic, 0)]


def test_a_topic_made_anew_while_the_daemon_was_away_is_told(broker: Cluster, read: ReaderFactory) -> None:
    topic, group, judge = broker.create_topic(), broker.topic_name("group"), refuse()
    broker.produce(topic, numbers(0, 10), partition=0)
    first = read(broker, RecordingAssignment(judge=judge), topics=[topic], group=group)
    first.read(10)
    first.source.close()
    broker.delete_topic(topic)
    broker.create_topic(topic)
    broker.produce(topic, numbers(100, 200), partition=0)
    second = read(broker, RecordingAssignment(judge=judge), topics=[topic], group=group)
    with pytest.raises(LogChangedError, match="the topic was made anew"):
        second.read(1)


def test_a_log_truncated_past_the_reader_is_told(broker: Cluster, read: ReaderFactory) -> None:
    topic = broker.create_topic()
    broker.produce(topic, numbers(0, 10), partition=0)
    partition = Partition(topic, 0)
    assignment = RecordingAssignment()
    reader = read(broker, assignment, topics=[topic])
    reader.read(10)
    reader.source.pause()
    reader.turn()
    assignment.answers[partition] = Position(10)
    broker.produce(topic, numbers(10, 20), partition=0)
    broker.delete_records(topic, 0, 15)
    reader.source.resume()
    with pytest.raises(LogChangedError, match="from offset 10, but its log holds 15 to 20"):
        reader.read(20)
    assert [event for event, _ in assignment.events] == ["assigned", "revoked", "assigned", "revoked"]
    assert assignment.facts[partition].earliest == 15
    assert reader.values == numbers(0, 10)


def test_the_assignment_may_go_on_in_a_truncated_log(broker: Cluster, read: ReaderFactory) -> None:
    topic = broker.create_topic()
    broker.produce(topic, numbers(0, 10), partition=0)
    reader = read(broker, topics=[topic])
    reader.read(10)
    reader.source.pause()
    reader.turn()
    broker.produce(topic, numbers(10, 20), partition=0)
    broker.delete_records(topic, 0, 15)
    reader.source.resume()  # the assignment answers None: begin at `start`, the earliest that is left
    assert reader.read(15) == numbers(0, 10) + numbers(15, 20)


# --- brokers that are away


def test_no_broker_at_start_is_told_and_waited_for(read: ReaderFactory) -> None:
    port = free_port()
    reader = read(Cluster(f"127.0.0.1:{port}"), topics=["events"])
    expected = rf"no broker of 127\.0\.0\.1:{port} can be reached \(.+\); check that Kafka runs, .+ \(since 20"
    for _ in range(2):
        with pytest.raises(SourceUnavailableError, match=expected):
            reader.turn()
    assert not reader.assignment.events


def test_a_broker_that_goes_and_comes_back_is_told_and_read_on(new_broker: BrokerFactory, read: ReaderFactory) -> None:
    own: Broker = new_broker()
    topic = own.create_topic()
    own.produce(topic, numbers(0, 5), partition=0)
    reader = read(own, topics=[topic], session_timeout=30.0)
    reader.read(5)
    own.kill()
    with pytest.raises(SourceUnavailableError, match="can be reached"):
        reader.read(6)
    reader.source.commit({Partition(topic, 0): Position(5)}, "store")
    own.start()
    own.produce(topic, numbers(5, 10), partition=0)
    patiently(reader, lambda: reader.count >= 10)
    assert reader.values == numbers(0, 10)
    assert reader.assignment.events == [("assigned", Partition(topic, 0))], "the member stayed in the group"


def test_failed_commits_are_counted_and_never_raise(new_broker: BrokerFactory) -> None:
    own: Broker = new_broker()
    topic = own.create_topic()
    failures: list[int] = []
    source = kafka_source(own, topics=[topic], commit_failed=lambda: failures.append(1))
    reader = Reader(source)
    reader.until(lambda: bool(reader.assignment.owned), "the partition")
    own.kill()

    def failed() -> bool:
        source.commit({Partition(topic, 0): Position(0)}, "store")
        calmly(reader)
        return bool(failures)

    wait_until(failed, "a failed commit")
    source.close()
