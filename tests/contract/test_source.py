"""What every source promises. `Reader` checks with each batch that it is owned, in order, and ends before the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from detector.errors import LogChangedError
from detector.types import LogFacts, Partition, Position
from tests.support.assignment import Reader, RecordingAssignment, contents
from tests.support.sources import LOGS, SOURCES, SourceCase

SOME = 20


@pytest.fixture(params=SOURCES, ids=str)
def case(request: pytest.FixtureRequest) -> SourceCase:
    return SOURCES[request.param](request)


@pytest.fixture(params=LOGS, ids=str)
def log(request: pytest.FixtureRequest) -> SourceCase:
    return LOGS[request.param](request)


@pytest.fixture
def reader(case: SourceCase) -> Iterator[Reader]:
    reader = Reader(case.make())
    yield reader
    reader.source.close()


def test_every_record_is_handed_out_once_and_in_order(case: SourceCase, reader: Reader) -> None:
    reader.read(case.records or SOME)
    reader.turn()
    assert case.records is None or reader.count == case.records
    for partition, records in reader.records.items():
        offsets = [record.offset for record in records]
        assert offsets == sorted(set(offsets)), partition
        assert reader.next[partition] > offsets[-1]


def test_records_have_the_shape_of_a_record(case: SourceCase, reader: Reader) -> None:
    reader.read(SOME)
    for records in reader.records.values():
        for record in records:
            assert type(record.offset) is int
            assert type(record.timestamp) is int
            assert type(record.key) in {bytes, type(None)}
            assert type(record.value) in {bytes, type(None)}
            assert all((type(name), type(value)) == (str, bytes) for name, value in record.headers)


def test_nothing_is_handed_out_before_start_is_told_of_its_partition(case: SourceCase) -> None:
    assignment = RecordingAssignment()
    reader = Reader(case.make(), assignment)
    assert not assignment.events
    reader.read(SOME)
    assert set(assignment.told("assigned")) >= set(reader.records)
    reader.source.close()


def test_the_same_records_come_again_from_a_position(log: SourceCase) -> None:
    first = Reader(log.make())
    first.read(log.records or SOME)
    partition = min(first.records)
    records = first.records[partition]
    middle = records[len(records) // 2].offset
    # Row 3 of that record: the source begins with the record, and the caller passes over its first rows.
    again = Reader(log.make(), RecordingAssignment(answers={partition: Position(middle, 3)}))
    expected = [record for record in records if record.offset >= middle]
    again.until(lambda: len(again.records.get(partition, [])) >= len(expected), "the second half")
    assert contents(again.records[partition]) == contents(expected)
    for reader in (first, again):
        assert reader.source.replayable
        reader.source.close()


def test_where_a_batch_ends_another_source_goes_on(log: SourceCase) -> None:
    first = Reader(log.make())
    first.until(lambda: first.count > 0, "a first batch")
    answers = {partition: Position(offset) for partition, offset in first.next.items()}
    first.source.close()
    second = Reader(log.make(), RecordingAssignment(answers=answers))
    second.until(lambda: first.count + second.count >= (log.records or SOME), "the rest")
    second.turn()
    assert first.count + second.count == log.records
    for partition in first.records.keys() & second.records.keys():
        assert second.records[partition][0].offset >= answers[partition].offset
    second.source.close()


def test_a_paused_source_hands_out_nothing_and_loses_nothing(case: SourceCase, reader: Reader) -> None:
    reader.until(lambda: reader.count > 0, "a first batch")
    reader.source.pause()
    for _ in range(3):
        assert not reader.turn()
    reader.source.resume()
    reader.read(case.records or reader.count + SOME)
    reader.turn()
    assert case.records is None or reader.count == case.records


def test_a_source_paused_from_the_start_takes_over_and_waits(case: SourceCase, reader: Reader) -> None:
    reader.source.pause()
    reader.until(lambda: bool(reader.assignment.owned), "a partition")
    assert not reader.turn()
    assert not reader.count
    reader.source.resume()
    reader.read(SOME)


def test_closing_revokes_what_is_owned_once(case: SourceCase) -> None:
    reader = Reader(case.make())
    reader.read(SOME)
    owned = set(reader.assignment.owned)
    reader.source.close()
    assert sorted(reader.assignment.told("revoked")) == sorted(owned)
    assert not reader.assignment.told("lost")
    reader.source.close()
    assert len(reader.assignment.told("revoked")) == len(owned)


def test_a_source_that_was_never_polled_closes_quietly(case: SourceCase) -> None:
    reader = Reader(case.make())
    reader.source.close()
    assert not reader.assignment.events


def test_a_source_is_exhausted_when_all_was_handed_out_and_not_before(case: SourceCase, reader: Reader) -> None:
    assert not reader.source.exhausted
    if case.ends:
        reader.until(lambda: reader.source.exhausted, "the end")
        assert reader.count == case.records
        assert not reader.turn()
    else:
        reader.read(case.records or SOME)
        reader.turn()
        assert not reader.source.exhausted


def test_what_the_assignment_refuses_reaches_the_caller_each_time(case: SourceCase) -> None:
    def refuse(partition: Partition, _log: LogFacts) -> None:
        message = f"{partition} is another log"
        raise LogChangedError(message)

    reader = Reader(case.make(), RecordingAssignment(judge=refuse))
    for _ in range(2):
        with pytest.raises(LogChangedError, match="another log"):
            reader.until(lambda: reader.count > 0, "the refusal")
    reader.source.close()
    assert not reader.assignment.events


def test_a_commit_never_raises(case: SourceCase, reader: Reader) -> None:
    reader.source.commit({}, "store")
    reader.read(SOME)
    reader.source.commit({p: Position(offset) for p, offset in reader.next.items()}, "store")
    reader.turn()
