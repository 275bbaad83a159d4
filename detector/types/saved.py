"""What the store keeps of a partition: its checkpoint, its slots and its control records."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from detector.types.places import Position


class KeptEvents(NamedTuple):
    """Some events that were told of or could have been, for those who ask later: opaque bytes, but for where they are.

    first, last  offsets of the first and the last one
    told         whether they are those at or beyond the threshold: as many of these are kept as of the others
    """

    first: int
    last: int
    rows: int
    told: bool
    body: bytes


class ControlKind(StrEnum):
    """The inputs beside the log that change detection."""

    CONFIGURATION = "configuration"
    PARTITIONS = "partitions"
    LEARNING = "learning"
    CANDIDATE = "candidate"
    DECISION = "decision"
    ROLLBACK = "rollback"
    FEEDBACK = "feedback"


@dataclass(frozen=True, slots=True)
class ControlRecord:
    """An input beside the log: durable before it takes effect at the start of block `boundary`, replayed there."""

    boundary: int
    kind: ControlKind
    payload: dict[str, Any]


class SlotState(NamedTuple):
    """A slot as the store keeps it: opaque bytes of the bank, and the event time when it was last seen."""

    entity: str
    last_seen: float
    state: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything of a partition as of `position`, but its slots (which are kept one by one).

    block        number of the open block
    header       opaque bytes of the model: open block's rows, pools, event time
    fingerprint  format, TensorFlow version, instruction set, program: bits may differ where it differs
    topic_id     Kafka's id of the topic, "" where the source has none
    """

    position: Position
    block: int
    header: bytes
    fingerprint: str
    topic_id: str
