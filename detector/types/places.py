"""Where in the log something stands."""

from __future__ import annotations

from typing import NamedTuple


class Partition(NamedTuple):
    """One partition of a topic; sources without a log name themselves as the topic and use number 0."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.number}"


class Position(NamedTuple):
    """A place in a partition's log: the next offset, and the next row inside that record.

    Ordered as tuples are: (5, 0) < (5, 1) < (6, 0).
    """

    offset: int
    row: int = 0


class Place(NamedTuple):
    """Which log rows come from: ids are made of it."""

    partition: Partition
    topic_id: str
