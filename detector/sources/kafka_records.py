"""Records out of a fetched batch, in half the time that kafka-python takes.

It reads each variable-length number by a call, each field through a property, and copies each key and value twice,
which is most of what a poll costs. This reads the same bytes in one loop (the format: KIP-98, record batches of magic
2) and takes the place of its class where a fetch is unpacked; everything else, checksums and codecs too, is
kafka-python's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from kafka.errors import CorruptRecordError
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch

_MORE = 0x80
"""From this value on, a byte says that its number goes on in the next one."""


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
    """kafka-python's batch, read in one loop."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the records; CorruptRecordError where the bytes are none."""
        self._maybe_uncompress()
        if self.is_control_batch:
            return super().__iter__()  # type: ignore[no-any-return]  # rare, and of another class
        return self._records()

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


def install() -> None:
    """Let consumers of this process read batches so."""
    memory_records.DefaultRecordBatch = RecordBatch


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
        name, at = data[at : at + length].decode(), at + length
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
