"""Records out of what was fetched, in a third of the time that kafka-python takes.

It reads each variable-length number by a call, each field through a property, copies each key and value twice, and
makes each record into another one, which is most of what a poll costs. This reads the same bytes in one loop (the
format: KIP-98, record batches of magic 2), hands on what it read, and takes the place of its classes where a fetch is
unpacked; everything else, checksums, codecs and transactions too, is kafka-python's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import structlog
from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.protocol.consumer import IsolationLevel
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch

from detector.sources.kafka_unpacking import unpack

_log = structlog.get_logger(__name__)

_MORE = 0x80
"""From this value on, a byte says that its number goes on in the next one."""
_UNPACKED = 16
"""Times `record_bytes` that a batch is unpacked to, at most, as streams of Arrow are ..."""
_LEAST_UNPACKED = 64 << 20
"""... but no less than to that: of small records a batch holds thousands."""
_MAGIC = 2
"""Version of the format that has been written since Kafka 0.11; older batches are kafka-python's to read."""


class FetchedRecord(NamedTuple):
    """What kafka-python's fetcher asks of a record."""

    size_in_bytes: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None

    def validate_crc(self) -> bool:
        """Return True: a batch has one checksum, which was looked at."""
        return True


class RecordBatch(DefaultRecordBatch):  # type: ignore[misc]  # kafka-python ships no types
    """kafka-python's batch, read in one loop, and unpacked only so far.

    record_bytes  what a record may have to be read at all; a batch is unpacked to _UNPACKED times as much, or
                  _LEAST_UNPACKED
    """

    record_bytes = 4 << 20
    _whole = True
    _buffer: Any
    _pos: int
    _decompressed: bool

    def __iter__(self) -> Iterator[Any]:
        """Yield the records; CorruptRecordError where the bytes are none.

        Of a batch that is larger unpacked, those before the bound are as ever; the one that it falls into has a value
        of more than `record_bytes`, so that it is rejected as too large; and those behind it are lost, which is said.
        """
        self._maybe_uncompress()
        if self.is_control_batch:
            return super().__iter__()  # type: ignore[no-any-return]  # rare, and of another class
        return self._records() if self._whole else self._records_of_a_part()

    def _maybe_uncompress(self) -> None:
        kind = self.compression_type
        if not self._decompressed and kind != self.CODEC_NONE:
            self._assert_has_codec(kind)
            most = max(_UNPACKED * self.record_bytes, _LEAST_UNPACKED)
            self._buffer, self._whole = unpack(kind, bytes(memoryview(self._buffer)[self._pos :]), most)
            self._pos = 0
        self._decompressed = True

    def _records_of_a_part(self) -> Iterator[FetchedRecord]:
        """Yield the records that were unpacked, and the one that was not in full."""
        data, last = self._buffer, self.base_offset - 1
        whole, start = _cut(data, self.records_count)
        if whole == self.records_count:
            message = f"a batch of {whole} records goes on behind them"
            raise CorruptRecordError(message)
        for record in islice(self._records(), whole):
            last = record.offset
            yield record
        value = data[start : start + self.record_bytes].ljust(self.record_bytes + 1, b"\0")
        lost = self.records_count - whole - 1
        _log.error(
            "batch_too_large",
            first_offset=self.base_offset,
            too_large=last + 1,
            lost_behind_it=lost,
            unpacked=f"more than {len(data)} bytes (events.limits.record_bytes x {_UNPACKED}, or 64 MiB)",
        )
        yield FetchedRecord(len(value), last + 1, self.first_timestamp, self.timestamp_type, None, value, [])

    def _records(self) -> Iterator[FetchedRecord]:
        data, at, new = bytes(self._buffer), self._pos, tuple.__new__
        base, first, kind = self.base_offset, self.first_timestamp, self.timestamp_type
        appended = self.max_timestamp if kind == self.LOG_APPEND_TIME else None
        try:
            for _ in range(self.records_count):
                # Most numbers are a single byte, read here: calls are what takes long.
                size, at = data[at], at + 1
                if size >= _MORE:
                    size, at = _continued(size, data, at)
                start = at
                # Attributes, of which none is in use: a byte, but kafka-python reads a number, and so does this.
                at = at + 1 if data[at] < _MORE else _continued(data[at], data, at + 1)[1]
                passed, at = data[at], at + 1
                if passed >= _MORE:
                    passed, at = _continued(passed, data, at)
                offset, at = data[at], at + 1
                if offset >= _MORE:
                    offset, at = _continued(offset, data, at)
                length, at = data[at], at + 1
                if length >= _MORE:
                    length, at = _continued(length, data, at)
                end = at + (length >> 1)
                key, at = (None, at) if length & 1 else (data[at:end], end)
                length, at = data[at], at + 1
                if length >= _MORE:
                    length, at = _continued(length, data, at)
                end = at + (length >> 1)
                value, at = (None, at) if length & 1 else (data[at:end], end)
                headers, at = _headers(data, at) if data[at] else ([], at + 1)
                if 2 * (at - start) != size:
                    message = f"a record of {_signed(size)} bytes takes {at - start}"
                    raise CorruptRecordError(message)
                timestamp = first + ((passed >> 1) ^ -(passed & 1)) if appended is None else appended
                # As NamedTuple does it, without a call in between.
                fields = at - start, base + ((offset >> 1) ^ -(offset & 1)), timestamp, kind, key, value, headers, None
                yield new(FetchedRecord, fields)
        except (ValueError, IndexError) as error:
            message = f"a record cannot be read: {error!r}"
            raise CorruptRecordError(message) from error
        if at != len(data):
            message = f"{len(data) - at} bytes are left behind the last record"
            raise CorruptRecordError(message)


class PartitionRecords(Fetcher.PartitionRecords):  # type: ignore[misc]  # kafka-python ships no types
    """What was fetched of a partition, handed out as it was read: no record is made into another one."""

    def _unpack_records(self, _tp: Any, records: Any, _key: Any, _value: Any) -> Iterator[Any]:
        """Yield the records, each when what came before it is taken; CorruptRecordError where the bytes are none."""
        last = None
        while (batch := records.next_batch()) is not None:
            last = batch
            if self.check_crcs and not batch.validate_crc():
                message = f"{self.topic_partition}: the checksum of the batch at offset {batch.base_offset} fails"
                raise CorruptRecordError(message)
            if batch.magic == _MAGIC and self._passes_over(batch):
                self.next_fetch_offset = batch.next_offset
                continue
            checked = batch.magic == _MAGIC or not self.check_crcs
            for record in batch:
                if not checked and not record.validate_crc():
                    message = f"{self.topic_partition}: the checksum of the record at offset {record.offset} fails"
                    raise CorruptRecordError(message)
                self.records_read += 1
                self.bytes_read += record.size_in_bytes
                self.next_fetch_offset = record.offset + 1
                yield record
        if last is not None and last.magic == _MAGIC:
            self.next_fetch_offset = last.next_offset  # compaction may have taken the last records
        self.drain()

    def _passes_over(self, batch: Any) -> bool:
        """Tell whether a batch holds no records for consumers: it was aborted, or controls a transaction."""
        self.leader_epoch = batch.leader_epoch
        if self.isolation_level == IsolationLevel.READ_COMMITTED and batch.has_producer_id():
            self._consume_aborted_transactions_up_to(batch.last_offset)
            if self._contains_abort_marker(batch):
                self.aborted_producer_ids.discard(batch.producer_id)
            elif self._is_batch_aborted(batch):
                return True
        return bool(batch.is_control_batch)


def install(record_bytes: int) -> None:
    """Let consumers of this process read batches so, of records of so many bytes at most."""
    RecordBatch.record_bytes = record_bytes
    memory_records.DefaultRecordBatch = RecordBatch
    Fetcher.PartitionRecords = PartitionRecords


def _cut(data: bytes, count: int) -> tuple[int, int]:
    """Return how many of so many records are whole in their first bytes, and where the next begins."""
    at = 0
    for whole in range(count):
        try:
            size, start = _number(data, at)
        except (IndexError, ValueError):
            return whole, at
        if size < 0:
            message = f"a record has {size} bytes"
            raise CorruptRecordError(message)
        if start + size > len(data):
            return whole, start
        at = start + size
    return count, at


def _headers(data: bytes, at: int) -> tuple[list[tuple[str, bytes | None]], int]:
    """Read a record's headers; returns them and the place behind."""
    count, at = _number(data, at)
    if count < 0:
        message = f"a record has {count} headers"
        raise CorruptRecordError(message)
    headers: list[tuple[str, bytes | None]] = []
    for _ in range(count):
        length, at = _number(data, at)
        if length < 0:
            message = f"a header's name has {length} bytes"
            raise CorruptRecordError(message)
        # A name that is no text must not end the daemon; kafka-python would call the log damaged.
        name, at = data[at : at + length].decode(errors="backslashreplace"), at + length
        length, at = _number(data, at)
        value = data[at : at + length] if length >= 0 else None
        headers.append((name, value))
        at += max(0, length)
    return headers, at


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of variable length; returns it and the place behind."""
    number, at = data[at], at + 1
    if number >= _MORE:
        number, at = _continued(number, data, at)
    return _signed(number), at


def _continued(number: int, data: bytes, at: int) -> tuple[int, int]:
    """Read on from a number's first byte; returns it, the sign still in the lowest bit, and the place behind."""
    byte = data[at]
    if byte < _MORE:  # two bytes: that is most of them, and a loop takes as long as all else
        return number - _MORE + (byte << 7), at + 1
    number -= _MORE
    for shift in range(7, 64, 7):
        byte, at = data[at], at + 1
        number |= (byte & ~_MORE) << shift
        if byte < _MORE:
            return number, at
    message = "a number of more than 64 bits"
    raise ValueError(message)


def _signed(number: int) -> int:
    return (number >> 1) ^ -(number & 1)
