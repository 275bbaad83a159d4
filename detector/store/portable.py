"""A partition's store as one portable file: what `detector state export` writes and `import` reads.

The file is the line "detector-partition 1" followed by frames. A frame is the length of its payload (uint32, little
endian), a CRC-32 (uint32, little endian) and the payload. The CRC runs on from frame to frame, so that a frame that is
missing or out of place is noticed as well as a flipped bit. A payload is one of the messages below in msgpack: a map
whose key "type" is the class's name. `Head` comes first and `End` last. Frames are about a megabyte at most (but for
the head and single large states), so both ways run in bounded memory.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from detector.errors import StoreDamagedError, StoreNewerError, StoreOlderError
from detector.store.outbox import Kept
from detector.types import Checkpoint, ControlRecord, DeadLetter, Partition, Position

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FORMAT = 5
_MAGIC = b"detector-partition "
_FRAME = struct.Struct("<II")
_BATCH_BYTES = 1 << 20
_BATCH_ROWS = 1000


class Head(msgspec.Struct, tag=True):
    """Whose state it is, and all of it that is not a list."""

    partition: Partition
    store_id: str
    through: Position
    through_block: int
    checkpoint: Checkpoint | None


class Controls(msgspec.Struct, tag=True):
    """Control records in order."""

    items: list[ControlRecord]


class Slots(msgspec.Struct, tag=True):
    """Some slots: (entity, last_seen, state)."""

    items: list[tuple[str, float, bytes]]


class Outbox(msgspec.Struct, tag=True):
    """Some rows of the outbox, in order."""

    items: list[Kept]


class DeadLetters(msgspec.Struct, tag=True):
    """Dead letters, oldest first."""

    items: list[DeadLetter]


class End(msgspec.Struct, tag=True):
    """The number of frames before this one."""

    frames: int


Message = Head | Controls | Slots | Outbox | DeadLetters | End


def write(out: BinaryIO, messages: Iterable[Message]) -> None:
    """Write a whole file; the messages begin with Head, and End is added."""
    out.write(_MAGIC + b"%d\n" % FORMAT)
    crc = frames = 0
    for message in messages:
        crc = _write_frame(out, message, crc)
        frames += 1
    _write_frame(out, End(frames), crc)


def read(source: BinaryIO, file: Path) -> Iterator[Message]:
    """Yield the messages up to, without, End; StoreDamagedError, StoreNewerError, StoreOlderError."""
    _check_magic(source.readline(100), file)
    decoder = msgspec.msgpack.Decoder(Message)
    crc = frames = 0
    while True:
        prefix = source.read(_FRAME.size)
        if len(prefix) < _FRAME.size:
            raise _damaged(file, f"it is cut off after {frames} frames")
        length, expected = _FRAME.unpack(prefix)
        payload = source.read(length)
        crc = zlib.crc32(payload, crc)
        if len(payload) != length or crc != expected:
            raise _damaged(file, f"the checksum of frame {frames} fails")
        try:
            message: Message = decoder.decode(payload)
        except msgspec.DecodeError as error:
            raise _damaged(file, f"frame {frames} is not as this format has it ({error})") from error
        if isinstance(message, End):
            if message.frames != frames or source.read(1):
                raise _damaged(file, "its end is not where it should be")
            return
        if isinstance(message, Head) != (frames == 0):
            raise _damaged(file, "its head is not where it should be")
        yield message
        frames += 1


def slots_of(slots: Iterable[tuple[str, float, bytes]]) -> Iterator[Slots]:
    """Cut slots into messages of bounded size."""
    batch: list[tuple[str, float, bytes]] = []
    size = 0
    for slot in slots:
        batch.append(slot)
        size += len(slot[2])
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_ROWS:
            yield Slots(batch)
            batch, size = [], 0
    if batch:
        yield Slots(batch)


def outbox_of(rows: Iterable[Kept]) -> Iterator[Outbox]:
    """Cut outbox rows into messages of bounded size."""
    batch: list[Kept] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row.entry.body)
        if size >= _BATCH_BYTES or len(batch) >= _BATCH_ROWS:
            yield Outbox(batch)
            batch, size = [], 0
    if batch:
        yield Outbox(batch)


def _write_frame(out: BinaryIO, message: Message, crc: int) -> int:
    payload = msgspec.msgpack.encode(message)
    crc = zlib.crc32(payload, crc)
    out.write(_FRAME.pack(len(payload), crc))
    out.write(payload)
    return crc


def _check_magic(line: bytes, file: Path) -> None:
    version = line.removeprefix(_MAGIC).strip()
    if not line.startswith(_MAGIC) or not version.isdigit() or not line.endswith(b"\n"):
        raise _damaged(file, "it does not begin as an export does")
    if int(version) > FORMAT:
        message = (
            f"{file}: written by a newer detector (export format {int(version)}; this one reads up to {FORMAT}). "
            "Import it with that version."
        )
        raise StoreNewerError(message)
    if int(version) < FORMAT:
        message = (
            f"{file}: written by an older detector (export format {int(version)}; this one reads {FORMAT} alone). "
            "Import it with that version."
        )
        raise StoreOlderError(message)


def _damaged(file: Path, found: str) -> StoreDamagedError:
    return StoreDamagedError(f"{file}: the export cannot be used: {found}. Export again, or use another backup.")
