"""The values that pass between the layers. All are frozen; arrays carry their shape and dtype in the docstring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int8 = NDArray[np.int8]
Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Bool = NDArray[np.bool_]


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
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """Its headers, in order."""


class PlainRecord(NamedTuple):
    """A record of a source other than Kafka."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


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


@dataclass(frozen=True, slots=True)
class Rows:
    """Decoded rows of one partition in log order: one array entry a row.

    offsets   int64   [n]     the record's offset
    rows      int32   [n]     the row's number inside its record
    times     float64 [n]     event time, epoch seconds
    values    float64 [n, D]  features in the order of the configuration; NaN = missing
    entities  n strings, or None where the configuration names no entity field
    """

    offsets: Int64
    rows: Int32
    times: Float64
    values: Float64
    entities: list[str] | None = None

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, part: slice) -> Rows:
        return Rows(
            self.offsets[part],
            self.rows[part],
            self.times[part],
            self.values[part],
            self.entities[part] if self.entities is not None else None,
        )


NO_ROWS = Rows(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0), np.zeros((0, 0)))
"""None at all."""


class RejectReason(StrEnum):
    """Why a row or a record cannot be used: a bounded set, used as a metric label."""

    UNDECODABLE = "undecodable"
    NOT_AN_EVENT = "not_an_event"
    NOT_A_NUMBER = "not_a_number"
    NOT_FINITE = "not_finite"
    NO_FEATURES = "no_features"
    MISSING_FEATURE = "missing_feature"
    NO_TIMESTAMP = "no_timestamp"
    NO_ENTITY = "no_entity"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    TOO_MANY_ROWS = "too_many_rows"
    TOO_OLD = "too_old"
    TOO_FAR_AHEAD = "too_far_ahead"
    UNKNOWN_SCHEMA = "unknown_schema"


@dataclass(frozen=True, slots=True)
class Reject:
    """A record of which some rows, or all of it, cannot be used.

    `rows` are the numbers of the rejected rows and `reasons` theirs, pairwise; a record that yields no rows at all
    has rows == () and a single reason. `detail` is one line for people, of the first reason: at most 200 characters,
    with the path and what was expected.
    """

    record: Record
    rows: tuple[int, ...]
    reasons: tuple[RejectReason, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a decoder made of a batch. `passed_over` counts records or rows that `where` or a tombstone left out."""

    rows: Rows
    rejects: list[Reject] = field(default_factory=list)
    passed_over: int = 0


class Direction(StrEnum):
    """Which way a feature is off."""

    RISE = "rise"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class FeatureShare:
    """One feature of the model in an event. `observed` and `expected` are in its own units; shares add up to 1.

    share  0 where its filter leaves the feature out
    """

    name: str
    observed: float | None
    expected: float
    share: float

    @property
    def direction(self) -> Direction | None:
        """Which way it is off; None where it is missing, or as expected."""
        if self.observed is None or self.observed == self.expected:
            return None
        return Direction.RISE if self.observed > self.expected else Direction.DROP


class Phase(StrEnum):
    """What happened to an incident."""

    OPEN = "open"
    UPDATE = "update"
    RESOLVE = "resolve"


class Reason(StrEnum):
    """Why an incident was updated (the first two) or resolved."""

    SEVERITY = "severity"
    REPEAT = "repeat"
    RECOVERED = "recovered"
    NO_DATA = "no_data"
    RETURNED = "returned"
    GIVEN_UP = "given_up"
    FORGOTTEN = "forgotten"


class Severity(StrEnum):
    """How far out an incident has been."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as of one of its messages.

    id         hash of the row that opened it; `sequence` numbers its messages from 1
    start      event time of that row, epoch seconds; `duration` is the event time that has passed since
    peak       its highest score so far; `peak_at_least`: the reference supported no more
    count      anomalous rows so far; of an absence, the entities that were
    shares     shares of the squared distance of the alert's features, mean of those rows, in their order; they
               add up to 1, or are all 0 where the features have changed since
    """

    id: str
    sequence: int
    start: float
    duration: float
    peak: float
    peak_at_least: bool
    count: int
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """The entity's own row, by which an alert is told.

    score        -log10(rate), rate = expected share of normal events at least this far out
    at_least     the reference is too small to support more than `score`
    distance     raw standardised distance to the nearest centroid
    block        number of the block whose model scored the row; model_version counts cold starts and adoptions
    centroid     number of the nearest centroid
    since        event time since which the entity's scores have stayed high (see `models.drift`), epoch seconds; None
                 where the row's is not
    imputed      configured features that were missing, and for which another value stood in
    missing_share  share of the configured features that were missing, whether or not another value stood in
    confidence   in 0..1: the share of features that were observed, times the share of the distance that they have
    """

    score: float
    at_least: bool
    distance: float
    threshold: float
    since: float | None
    model_version: int
    block: int
    centroid: int
    features: tuple[FeatureShare, ...]
    imputed: tuple[str, ...] = ()
    missing_share: float = 0.0
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert as detection writes it: a function of the log alone, so a replay yields the same bytes.

    id        its incident's and its number in it
    kind      what it is about: `anomaly` or `absence`
    position  of the row by which it is told, and that row's event time, epoch seconds
    finding   that row; None where it is another entity's, as this one has stopped
    names     of the model's features, in the order of the configuration
    sources   the configured feature that each of them comes from; "" for a cycle of the event time
    absent    the entities that are, the first of them where there are many; none where it is an anomaly
    """

    id: str
    kind: str
    phase: Phase
    reason: Reason | None
    severity: Severity
    partition: Partition
    position: Position
    entity: str | None
    time: float
    incident: Incident
    finding: Finding | None
    names: tuple[str, ...]
    sources: tuple[str, ...]
    absent: tuple[str, ...] = ()


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
class DeadLetter:
    """A rejected record on its way to the dead letters: original bytes, and why."""

    partition: Partition
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    rows: tuple[int, ...]
    reasons: tuple[str, ...]
    detail: str


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


class OutboxEntry(NamedTuple):
    """One message for one sink. (id, sink) is unique in the outbox: writing it twice changes nothing.

    kind is "alert" or "dead_letter"; body is the JSON of the alert, or msgpack of the dead letter.
    """

    id: str
    sink: str
    kind: str
    body: bytes


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
