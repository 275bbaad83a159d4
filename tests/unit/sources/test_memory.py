from __future__ import annotations

from random import Random

import pytest

from detector.errors import LogChangedError
from detector.sources.memory import MemoryLog, MemorySource
from detector.types import Partition, Position
from tests.support.assignment import Reader, RecordingAssignment

HERE, THERE = Partition("events", 0), Partition("events", 1)


def test_members_share_a_log_and_hand_partitions_over() -> None:
    log = MemoryLog()
    for partition in (HERE, THERE):
        log.append(partition, b"1", b"2")
    one, two = MemorySource(log), MemorySource(log)
    first = Reader(one)
    one.give(HERE, THERE)
    first.turn()
    one.take(THERE)
    log.append(THERE, b"3")
    first.turn()
    second = Reader(two, RecordingAssignment(answers={THERE: Position(first.next[THERE])}))
    two.give(THERE)
    second.turn()
    assert first.assignment.events == [("assigned", HERE), ("assigned", THERE), ("revoked", THERE)]
    assert second.values == [b"3"]


def test_a_lost_partition_is_lost_and_not_revoked() -> None:
    log = MemoryLog()
    source = MemorySource(log)
    reader = Reader(source)
    source.give(HERE)
    reader.turn()
    source.lose(HERE)
    reader.turn()
    assert reader.assignment.told("lost") == [HERE]


def test_random_fetches_give_the_same_records() -> None:
    log = MemoryLog()
    log.append(HERE, *(b"%d" % n for n in range(500)))
    for seed in range(5):
        source = MemorySource(log, most=30, random=Random(seed))
        source.give(HERE)
        source.finish()
        reader = Reader(source)
        reader.until(lambda reader=reader: reader.source.exhausted, "the end")  # type: ignore[misc]  # bound per turn
        assert list(reader.records[HERE]) == log.records[HERE]


def test_gaps_are_passed_over_with_the_batch_before_them() -> None:
    log = MemoryLog()
    log.append(HERE, b"1")
    log.skip(HERE, 3)
    source = MemorySource(log)
    source.give(HERE)
    reader = Reader(source)
    reader.turn()
    assert reader.next[HERE] == 4


def test_the_assignment_learns_what_the_log_holds() -> None:
    log = MemoryLog("id")
    log.append(HERE, b"1", b"2", b"3")
    log.truncate(HERE, 1)
    source = MemorySource(log)
    reader = Reader(source)
    source.give(HERE)
    reader.turn()
    source.commit({HERE: Position(2, 1)}, "store")
    facts = log.facts(HERE)
    assert (facts.topic_id, facts.earliest, facts.end, facts.committed, facts.committed_store) == (
        "id",
        1,
        3,
        2,
        "store",
    )
    assert reader.values == [b"2", b"3"]


def test_a_position_outside_the_log_is_told() -> None:
    log = MemoryLog()
    log.append(HERE, b"1", b"2", b"3")
    log.truncate(HERE, 2)
    source = MemorySource(log)
    reader = Reader(source, RecordingAssignment(answers={HERE: Position(1)}))
    source.give(HERE)
    with pytest.raises(LogChangedError, match="offset 1 is not in the log, which holds 2 to 3"):
        reader.turn()
