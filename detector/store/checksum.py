"""The checksum that guards what the store keeps."""

from __future__ import annotations

import zlib

import msgspec


def checksum(*parts: object) -> int:
    """Return the CRC-32 of the parts' types, lengths and values (anything that msgpack can hold).

    Types count too, because a flipped bit in an SQLite record may turn one into another.
    """
    return zlib.crc32(msgspec.msgpack.encode(parts))
