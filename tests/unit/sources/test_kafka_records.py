"""What is read out of a batch equals what kafka-python reads, byte for byte."""

from __future__ import annotations

from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka import TopicPartition
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords
from structlog.testing import capture_logs

from detector.sources import kafka_records
from detector.sources.kafka_records import PartitionRecords, RecordBatch

FIELDS = ("offset", "timestamp", "timestamp_type", "key", "value", "headers", "checksum", "size_in_bytes")
_HEADERS = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=200)), max_size=3)
_RECORD = st.tuples(
    st.integers(0, 2**41), st.none() | st.binary(max_size=100), st.none() | st.binary(max_size=400), _HEADERS
)


TOPIC = TopicPartition("events", 0)


def batch(records: list[Any], compression: int = 0, producer: int = -1) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=False,
        producer_id=producer,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for offset, (timestamp, key, value, headers) in enumerate(records):
        assert builder.append(offset, timestamp, key, value, headers) is not None
    return bytes(builder.build())


def batches(sizes: list[int]) -> list[bytes]:
    """Return batches of so many records, one behind the other in the log."""
    made, base = list[bytes](), 0
    for n in sizes:
        raw = bytearray(batch([(base + i, b"k", str(i).encode(), [("h", b"x")]) for i in range(n)]))
        raw[:8] = base.to_bytes(8, "big")  # the checksum does not hold it
        made, base = [*made, bytes(raw)], base + n
    return made


def plain(record: Any) -> tuple[Any, ...]:
    return record.offset, record.timestamp, record.key, record.value, record.headers


def progress(fetched: Any) -> tuple[Any, ...]:
    return fetched.next_fetch_offset, fetched.bytes_read, fetched.records_read, fetched.leader_epoch, bool(fetched)


def read(records: Any) -> list[tuple[Any, ...]]:
    return [tuple(getattr(record, name) for name in FIELDS) for record in records]


@settings(deadline=None)
@given(records=st.lists(_RECORD, min_size=1, max_size=300), compression=st.sampled_from([0, 1, 2, 3, 4]))
def test_it_reads_what_kafka_python_reads(records: list[Any], compression: int) -> None:
    raw = batch(records, compression)
    assert read(RecordBatch(raw)) == read(DefaultRecordBatch(raw))


def test_a_headers_name_that_is_no_text_is_shown_as_bytes() -> None:
    raw = batch([(5, b"k", b"v", [("name", b"x"), ("other", None)])]).replace(b"name", b"n\xff\xfee")
    (record,) = RecordBatch(raw)
    assert record.headers == [("n\\xff\\xfee", b"x"), ("other", None)]


def test_the_brokers_time_stands_for_that_of_each_record() -> None:
    raw = bytearray(batch([(5, b"k", b"v", []), (9, None, b"w", [])]))
    raw[DefaultRecordBatch.ATTRIBUTES_OFFSET + 1] |= DefaultRecordBatch.TIMESTAMP_TYPE_MASK
    assert read(RecordBatch(raw)) == read(DefaultRecordBatch(raw))
    assert [record.timestamp for record in RecordBatch(raw)] == [9, 9]


@settings(deadline=None)
@given(records=st.lists(_RECORD, min_size=1, max_size=20), data=st.data())
def test_damaged_bytes_are_corrupt_records_and_nothing_else(records: list[Any], data: st.DataObject) -> None:
    raw = bytearray(batch(records))
    start = DefaultRecordBatch.HEADER_STRUCT.size
    at = data.draw(st.integers(start, len(raw) - 1))
    changed = bytes(raw[:at]) if data.draw(st.booleans()) else bytes(raw[:at]) + b"\xff" + bytes(raw[at + 1 :])
    try:
        expected = read(DefaultRecordBatch(changed))
    except CorruptRecordError:
        with suppress(CorruptRecordError):
            found = [name for record in RecordBatch(changed) for name, _ in record.headers]
            assert any("\\xff" in name for name in found), "only a header's name that is no text is read all the same"
    else:
        assert read(RecordBatch(changed)) == expected


@settings(deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    takes=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    begin=st.integers(0, 60),
)
def test_what_was_fetched_is_handed_out_as_kafka_python_does(sizes: list[int], takes: list[int], begin: int) -> None:
    raw = b"".join(batches(sizes))
    begin = min(begin, sum(sizes) - 1)
    both = [kind(begin, TOPIC, MemoryRecords(raw)) for kind in (Fetcher.PartitionRecords, PartitionRecords)]
    for n in [*takes, None]:
        theirs, ours = ([plain(record) for record in each.take(n)] if each else [] for each in both)
        assert ours == theirs
        assert progress(both[1]) == progress(both[0])


@pytest.mark.parametrize("isolation", [IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED])
def test_what_was_aborted_is_passed_over_where_only_committed_records_are_asked_for(isolation: IsolationLevel) -> None:
    """Producer 7 aborts its first transaction and commits its second; each is ended by a control batch."""
    transactional = DefaultRecordBatch.TRANSACTIONAL_MASK
    control = transactional | DefaultRecordBatch.CONTROL_MASK
    ends = [b"\x00\x00\x00\x00", b"\x00\x00\x00\x01"]
    parts = [
        (transactional, b"v", 3),
        (control, ends[0], 1),
        (0, b"w", 2),
        (transactional, b"x", 2),
        (control, ends[1], 1),
    ]
    raw, base = bytearray(), 0
    for attributes, value, n in parts:
        producer = 7 if attributes & transactional else -1
        one = bytearray(batch([(5, value, value, [])] * n, producer=producer))
        one[:8] = base.to_bytes(8, "big")
        one[DefaultRecordBatch.ATTRIBUTES_OFFSET + 1] |= attributes
        raw, base = raw + one, base + n
    aborted = [SimpleNamespace(first_offset=0, producer_id=7)]
    found = []
    for kind in (Fetcher.PartitionRecords, PartitionRecords):
        fetched = kind(
            0,
            TOPIC,
            MemoryRecords(bytes(raw)),
            check_crcs=False,
            isolation_level=isolation,
            aborted_transactions=aborted,
        )
        found.append(([plain(record) for record in fetched.take()], progress(fetched)))
    assert found[0] == found[1]
    assert [value for *_, value, _ in found[1][0]] == [b"v"] * 3 * (not isolation) + [b"w"] * 2 + [b"x"] * 2


def test_a_batch_whose_checksum_fails_is_a_corrupt_record_behind_those_before_it() -> None:
    good, bad = batches([2, 2])
    fetched = PartitionRecords(0, TOPIC, MemoryRecords(good + bad[:-1] + bytes([bad[-1] ^ 1])))
    assert len(fetched.take()) == 2
    with pytest.raises(CorruptRecordError, match=r"events.*offset 2"):
        fetched.take()


def test_consumers_read_batches_so_once_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_records, "DefaultRecordBatch", DefaultRecordBatch)
    monkeypatch.setattr(Fetcher, "PartitionRecords", Fetcher.PartitionRecords)
    kafka_records.install(4 << 20)
    assert isinstance(MemoryRecords(batch([(5, b"k", b"v", [])])).next_batch(), RecordBatch)
    assert Fetcher.PartitionRecords is PartitionRecords


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let records have a thousand bytes, so that a batch is unpacked to sixteen thousand."""
    monkeypatch.setattr(RecordBatch, "record_bytes", 1000)
    monkeypatch.setattr(kafka_records, "_LEAST_UNPACKED", 0)
    return 16_000


@pytest.mark.parametrize("compression", [1, 3, 4])
def test_a_batch_that_unpacks_to_too_much_is_read_up_to_there(compression: int, small: int) -> None:
    """A bomb is one record of the batch; what it would be is not unpacked, and it is rejected as too large."""
    plain_records: list[Any] = [(i, b"k", b"v" * 100, []) for i in range(3)]
    records = [*plain_records, (3, b"bomb", b"0" * 900_000, []), *plain_records]
    made = RecordBatch(batch(records, compression))
    with capture_logs() as logs:
        found = list(made)
    assert len(made._buffer) == small
    assert [plain(record) for record in found[:3]] == [(i, *record) for i, record in enumerate(plain_records)]
    assert [(record.offset, len(record.value)) for record in found[3:]] == [(3, 1001)]
    assert [(entry["event"], entry["too_large"], entry["lost_behind_it"]) for entry in logs] == [
        ("batch_too_large", 3, 3)
    ]


@pytest.mark.parametrize("compression", [1, 3, 4])
def test_one_that_unpacks_to_as_much_as_is_allowed_is_read_whole(compression: int, small: int) -> None:
    records: list[Any] = [(i, None, b"v" * 700, []) for i in range(small // 720)]
    assert [plain(record) for record in RecordBatch(batch(records, compression))] == [
        (i, *record) for i, record in enumerate(records)
    ]


@pytest.mark.parametrize("compression", [1, 2, 3, 4])
def test_compressed_bytes_that_are_none_are_a_corrupt_record(compression: int) -> None:
    raw = bytearray(batch([(0, b"k", b"v" * 500, [])], compression))
    raw[-20:] = b"\xff" * 20
    with pytest.raises(CorruptRecordError):
        list(RecordBatch(bytes(raw)))
    del raw[-12:]
    with pytest.raises(CorruptRecordError):
        list(RecordBatch(bytes(raw)))
