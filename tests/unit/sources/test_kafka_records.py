"""What is read out of a batch equals what kafka-python reads, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.errors import CorruptRecordError
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords

from detector.sources import kafka_records
from detector.sources.kafka_records import RecordBatch

FIELDS = ("offset", "timestamp", "timestamp_type", "key", "value", "headers", "checksum", "size_in_bytes")
_HEADERS = st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=200)), max_size=3)
_RECORD = st.tuples(
    st.integers(0, 2**41), st.none() | st.binary(max_size=100), st.none() | st.binary(max_size=400), _HEADERS
)


def batch(records: list[Any], compression: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for offset, (timestamp, key, value, headers) in enumerate(records):
        assert builder.append(offset, timestamp, key, value, headers) is not None
    return bytes(builder.build())


def read(records: Any) -> list[tuple[Any, ...]]:
    return [tuple(getattr(record, name) for name in FIELDS) for record in records]


@settings(deadline=None)
@given(records=st.lists(_RECORD, min_size=1, max_size=300), compression=st.sampled_from([0, 1, 2, 3, 4]))
def test_it_reads_what_kafka_python_reads(records: list[Any], compression: int) -> None:
    raw = batch(records, compression)
    assert read(RecordBatch(raw)) == read(DefaultRecordBatch(raw))


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
        with pytest.raises(CorruptRecordError):
            read(RecordBatch(changed))
    else:
        assert read(RecordBatch(changed)) == expected


def test_consumers_read_batches_so_once_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_records, "DefaultRecordBatch", DefaultRecordBatch)
    kafka_records.install()
    assert isinstance(MemoryRecords(batch([(5, b"k", b"v", [])])).next_batch(), RecordBatch)
