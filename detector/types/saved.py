"""What the store keeps of a partition: its checkpoint, its slots and its control records."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from detector.types.places import Position


class ControlKind(StrEnum):
    """The inputs beside the log that change detection."""

    CONFIGURATION = "configuration"
    PARTITIONS = "partitions"
    LEARNING = "learning"
    CANDIDATE = "candidate"
    DECISION = "decision"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class ControlRecord:
    """An input beside the log: durable before it takes effect at the start of block `boundary`, replayed there."""

    boundary: int
    kind: ControlKind
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SlotState:
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
