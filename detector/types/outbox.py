"""What goes out: the messages of the outbox, and what became of an attempt to deliver one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from detector.types.places import Partition


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A rejected record on its way to the dead letters: original bytes, and why."""

    partition: Partition
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    rows: tuple[int, ...]
    reasons: tuple[str, ...]
    detail: str


SUBJECT_LENGTH = 32
"""How many characters at the beginning of a message's id say what it is about."""


class OutboxEntry(NamedTuple):
    """One message for one sink. (id, sink) is unique in the outbox: writing it twice changes nothing.

    kind is "alert" or "dead_letter"; body is the JSON of the alert, or msgpack of the dead letter.
    """

    id: str
    sink: str
    kind: str
    body: bytes

    @property
    def subject(self) -> str:
        """What it is about: of entries that share it, a later one does not go out before an earlier one.

        Ids begin with it: the id of an incident, or of a group of them.
        """
        return self.id[:SUBJECT_LENGTH]


class QueuedEntry(NamedTuple):
    """An outbox entry as the delivery thread sees it. Times are epoch seconds of the clock."""

    sequence: int
    entry: OutboxEntry
    created: float
    attempts: int
    due: float


class Outcome(StrEnum):
    """What became of one attempt to deliver."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REFUSED = "refused"
    GONE = "gone"


class Attempt(NamedTuple):
    """The result of one attempt. `code` is from a bounded set (an HTTP status or a word), for metrics.

    `retry_after` is in seconds where the receiver asked for it.
    """

    outcome: Outcome
    code: str
    detail: str = ""
    retry_after: float | None = None
