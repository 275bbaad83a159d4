"""What a decoder makes of records: rows, and the rejects among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from detector.types.arrays import Float64, Int32, Int64
from detector.types.records import Record


@dataclass(frozen=True, slots=True)
class Rows:
    """Decoded rows of one partition in log order: one array entry a row.

    offsets   int64   [n]     the record's offset
    rows      int32   [n]     the row's number inside its record
    times     float64 [n]     event time, epoch seconds
    values    float64 [n, D]  features in the order of the configuration; NaN = missing
    entities  n strings, or None where the configuration names no entity field
    labels    tells the configured labels of one of them, by its record's offset and its number; None where there are
              none. It reads the record anew: ask it of few rows
    """

    offsets: Int64
    rows: Int32
    times: Float64
    values: Float64
    entities: list[str] | None = None
    labels: Callable[[int, int], dict[str, str]] | None = None

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, part: slice) -> Rows:
        return Rows(
            self.offsets[part],
            self.rows[part],
            self.times[part],
            self.values[part],
            self.entities[part] if self.entities is not None else None,
            self.labels,
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
