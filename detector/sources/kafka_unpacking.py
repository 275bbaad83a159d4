"""Unpacking compressed batches within a bound: a megabyte of zeros, packed, may be ten gigabytes.

kafka-python unpacks a batch whole, whatever it comes to. Here each codec is asked for so many bytes at most; what is
left is not unpacked at all. Snappy packs nothing to less than a twentieth, and is kafka-python's to read.
"""

from __future__ import annotations

import io
import zlib
from typing import Any

from kafka import codec
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch

_GZIP = 31
"""What zlib calls a window of 32 KiB within gzip's frame."""
_CHUNK = 1 << 20


def unpack(kind: int, data: bytes, most: int) -> tuple[bytes, bool]:
    """Return what compressed bytes hold, `most` bytes at most, and whether that is all of it.

    CorruptRecordError where they cannot be unpacked.
    """
    try:
        match kind:
            case DefaultRecordBatch.CODEC_GZIP:
                unpacked = _gzip(data, most + 1)
            case DefaultRecordBatch.CODEC_LZ4:
                unpacked = _lz4(data, most + 1)
            case DefaultRecordBatch.CODEC_ZSTD:
                unpacked = _zstd(data, most + 1)
            case _:
                unpacked = codec.snappy_decode(data)
    except _errors() as error:
        message = f"a compressed batch cannot be unpacked: {error}"
        raise CorruptRecordError(message) from error
    return unpacked[:most], len(unpacked) <= most


def _gzip(data: bytes, most: int) -> bytes:
    parts, left = list[bytes](), most
    while data and left:
        member = zlib.decompressobj(_GZIP)
        parts.append(member.decompress(data, left))
        left -= len(parts[-1])
        if left and not member.eof:
            message = "gzip ends too early"
            raise EOFError(message)
        data = member.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _lz4(data: bytes, most: int) -> bytes:
    frame = codec.lz4.LZ4FrameDecompressor()
    unpacked: bytes = frame.decompress(data, most)
    if len(unpacked) < most and not frame.eof:
        message = "lz4 ends too early"
        raise EOFError(message)
    return unpacked


def _zstd(data: bytes, most: int) -> bytes:
    parts, left = list[bytes](), most
    with codec.zstd.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
        while left and (part := reader.read(min(_CHUNK, left))):
            parts.append(part)
            left -= len(part)
    return b"".join(parts)


def _errors() -> tuple[Any, ...]:
    own = (codec.zstd.ZstdError,) if codec.zstd is not None else ()
    if codec.snappy is not None:
        own += (codec.snappy.UncompressError,)
    return (zlib.error, EOFError, RuntimeError, ValueError, *own)
