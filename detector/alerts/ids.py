"""Ids: the same place in the same log has the same id, whoever replays it, so that duplicates are recognised."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detector.types import Partition, Position


def alert_id(topic_id: str, partition: Partition, position: Position, kind: str) -> str:
    """Return 32 hexadecimal digits (128 bits) for what was found at a position.

    `topic_id` is Kafka's id of the topic, so that a topic made anew starts new ids; sources without a log give the
    store's id. `kind` keeps an alert and a dead letter of one record apart.
    """
    fields = (topic_id, partition.topic, str(partition.number), str(position.offset), str(position.row), kind)
    # A length before each field: no two lists of fields may run together into the same bytes.
    text = "".join(f"{len(field)}:{field}" for field in fields)
    return blake2b(text.encode(), digest_size=16, person=b"detector").hexdigest()


def message_id(incident: str, sequence: int) -> str:
    """Return the id of an incident's message number `sequence`: each is another one, or receivers would drop it.

    It is the `webhook-id`, which must hold no full stop.
    """
    return f"{incident}-{sequence}"
