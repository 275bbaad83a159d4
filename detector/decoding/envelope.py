"""What an Arrow IPC stream claims to hold, read from its metadata before anything is unpacked.

pyarrow believes the sizes that a stream states: a few compressed bytes may unpack to terabytes, and a column of
nulls may have as many rows as an int64 can count. So the claims are judged first. The metadata are FlatBuffers, of
which three tables are read here (Message.fbs of the Arrow format); pyarrow has checked that they are well formed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

_DICTIONARY_BATCH = 2
_RECORD_BATCH = 3


class MalformedError(ValueError):
    """The bytes are not an Arrow IPC stream."""


@dataclass(slots=True)
class Claims:
    """What the stream states: rows of its record batches, of its largest dictionary, and bytes once unpacked."""

    rows: int = 0
    dictionary: int = 0
    unpacked: int = 0


def claims(stream: bytes) -> Claims:
    """Add up what the stream states. MalformedError where it is none."""
    total = Claims()
    dictionaries: dict[int, tuple[int, int]] = {}
    try:
        for metadata, body in _messages(stream):
            message = _Table.root(metadata)
            kind, header = message.number(1, "<B"), message.table(2)
            if header is not None and kind == _RECORD_BATCH:
                total.rows += _rows(header)
                total.unpacked += _unpacked(header, body)
            elif header is not None and kind == _DICTIONARY_BATCH:
                _claim_dictionary(total, dictionaries, header, body)
    except (pa.ArrowException, OSError, struct.error) as error:
        raise MalformedError(str(error)) from None
    return total


def _claim_dictionary(total: Claims, known: dict[int, tuple[int, int]], header: _Table, body: memoryview) -> None:
    """Add a dictionary, or more of one: each addition makes a copy of the whole, and all copies are kept."""
    batch = header.table(1)
    if batch is None:
        return
    number, adds = header.number(0, "<q"), header.number(2, "<B")
    rows, size = known.get(number, (0, 0)) if adds else (0, 0)
    unpacked = _unpacked(batch, body)
    rows, size = known[number] = rows + _rows(batch), size + max(unpacked, len(body))
    total.dictionary = max(total.dictionary, rows)
    total.unpacked += size if adds else unpacked


def _rows(batch: _Table) -> int:
    rows = batch.number(0, "<q")
    if rows < 0:
        message = "a batch states a negative number of rows"
        raise MalformedError(message)
    return rows


def _messages(stream: bytes) -> Iterator[tuple[memoryview, memoryview]]:
    reader = pa.ipc.MessageReader.open_stream(pa.py_buffer(stream))
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        yield memoryview(message.metadata), memoryview(message.body or b"")


def _unpacked(batch: _Table, body: memoryview) -> int:
    """Return the bytes of the buffers once unpacked, as they state them; 0 for a batch that is not compressed."""
    if batch.table(3) is None:
        return 0
    total = 0
    for offset, length in batch.pairs(2):
        if 0 <= offset <= len(body) - 8 and length >= 8:
            stated = struct.unpack_from("<q", body, offset)[0]
            total += length if stated == -1 else abs(stated)
    return total


@dataclass(frozen=True, slots=True)
class _Table:
    """A FlatBuffers table: its fields are found through a table of offsets that stands before or behind it."""

    data: memoryview
    at: int

    @classmethod
    def root(cls, data: memoryview) -> _Table:
        return cls(data, struct.unpack_from("<I", data)[0])

    def _place(self, field: int) -> int | None:
        offsets = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        size = struct.unpack_from("<H", self.data, offsets)[0]
        if 4 + 2 * field >= size:
            return None
        offset = struct.unpack_from("<H", self.data, offsets + 4 + 2 * field)[0]
        return self.at + offset if offset else None

    def number(self, field: int, form: str) -> int:
        place = self._place(field)
        return 0 if place is None else int(struct.unpack_from(form, self.data, place)[0])

    def _follow(self, field: int) -> int | None:
        place = self._place(field)
        return None if place is None else place + struct.unpack_from("<I", self.data, place)[0]

    def table(self, field: int) -> _Table | None:
        place = self._follow(field)
        return None if place is None else _Table(self.data, place)

    def pairs(self, field: int) -> Iterator[tuple[int, int]]:
        """Yield the members of a vector of structs of two int64."""
        place = self._follow(field)
        if place is not None:
            length = struct.unpack_from("<I", self.data, place)[0]
            yield from struct.iter_unpack("<qq", self.data[place + 4 : place + 4 + 16 * length])
