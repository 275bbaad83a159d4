"""What a source hands on: records, and the facts of the log that they come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from detector.types.places import Partition


class Record(Protocol):
    """One record of a partition, as the source hands it on (kafka-python's own record has this shape)."""

    @property
    def offset(self) -> int:
        """Its place in the partition."""

    @property
    def timestamp(self) -> int:
        """Epoch milliseconds, as the broker keeps it."""

    @property
    def key(self) -> bytes | None:
        """Its key, if it has one."""

    @property
    def value(self) -> bytes | None:
        """What it holds; None is a tombstone."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Its headers, in order; Kafka lets one be without a value."""


class PlainRecord(NamedTuple):
    """A record of a source other than Kafka."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one partition, in offset order.

    `next_offset` is where the log goes on behind the batch: aborted transactions leave gaps, so it may be larger
    than the last record's offset plus one. `end_offset` is the end of the log as last heard (for the lag), or -1.
    """

    partition: Partition
    records: Sequence[Record]
    next_offset: int
    end_offset: int = -1


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What a source knows of a partition's log when it is assigned: enough to tell whether it is still the same log.

    `earliest` and `end` are the first offset kept and the one behind the last; `start` is where the configuration
    says that a partition without a checkpoint begins. `committed` is the group's committed
    offset, or None; `committed_store` the id of the store whose daemon committed it, "" where it does not say.
    `partitions` are all that the source has, this worker's and others'.
    Sources without a log leave everything at its default.
    """

    topic_id: str = ""
    earliest: int = 0
    end: int = -1
    committed: int | None = None
    committed_store: str = ""
    start: int = 0
    partitions: int = 1
