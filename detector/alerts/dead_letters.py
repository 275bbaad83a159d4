"""Dead letters as the outbox holds them: the record's own bytes and why it was rejected, as msgpack."""

from __future__ import annotations

import msgspec

from detector.alerts.ids import alert_id
from detector.types import DeadLetter, OutboxEntry, Position

SINK = "dead_letters"
"""The name of the sink that sends dead letters to their topic."""

KIND = "dead_letter"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(DeadLetter)


def encode(letter: DeadLetter) -> bytes:
    """Return the dead letter as msgpack."""
    return _encoder.encode(letter)


def decode(body: bytes) -> DeadLetter:
    """Undo `encode`; msgspec.DecodeError where the bytes are no dead letter."""
    return _decoder.decode(body)


def outbox_entry(letter: DeadLetter, topic_id: str) -> OutboxEntry:
    """Return the outbox entry of a dead letter: one a record, however many of its rows were rejected."""
    return OutboxEntry(alert_id(topic_id, letter.partition, Position(letter.offset), KIND), SINK, KIND, encode(letter))


def ranges(rows: tuple[int, ...]) -> str:
    """Return row numbers as "0-2,7": a record may hold 100,000 rows, a header must stay short."""
    parts: list[list[int]] = []
    for row in sorted(rows):
        if parts and row <= parts[-1][1] + 1:
            parts[-1][1] = row
        else:
            parts.append([row, row])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in parts)
