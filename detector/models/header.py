"""The header of a checkpoint: what a partition's model holds beside its slots, as bytes (MessagePack)."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from detector.errors import StoreDamagedError
from detector.models.absence_state import State
from detector.models.budget import Running
from detector.models.incident_state import Ending
from detector.models.said import Said
from detector.types import Float64


class Header(msgspec.Struct, frozen=True):
    """Arrays are little-endian bytes.

    detection      payload of the detection configuration in force
    model_version  counts the models of this partition from 1: a cold start makes a new one
    time           the partition's event time, epoch seconds; None before the first row
    born           event time at which this version of the model began; None before the first row
    applied        number of control records that have taken effect
    number         number of the open block
    rows           float32 [n, D] rows of the open block, and their entities, "" = the whole partition
    placed         n bytes, 0 where the row found no room for its entity
    smoothed       float64 [n] smoothed scores of the open block's rows, where scores are smoothed
    faulty         n bytes, 1 where the row may not count as normal: its slot has an incident
    over           n bytes, 1 where an incident of its slot resolved with the row
    incidents      entities whose incidents are open, and `ending` the incidents that ended at the last boundary
    reference      float64 [bins] of smoothed scores, and of those that the learning gate goes by
    marks          float64 [3] that the gates of slots are set by
    beset          share of the rows whose slots had faults of late
    budget         what the rate from which on rows are flagged follows from
    kept           number of the block before which the last upkeep was due, and event time then, `kept_at`
    absence        who is absent
    learning       what operators said of learning modes, in order: patterns and modes
    known          what operators said of regions, as far as it is in force
    labels         of open incidents, by entity
    """

    detection: dict[str, Any]
    model_version: int
    time: float | None
    applied: int
    number: int
    rows: bytes
    entities: list[str]
    placed: bytes
    smoothed: bytes
    faulty: bytes
    over: bytes
    incidents: list[str]
    ending: list[Ending]
    reference: bytes
    gate_reference: bytes
    marks: bytes
    beset: float
    budget: Running
    kept: int
    absence: State
    learning: dict[str, str]
    kept_at: float | None = None
    born: float | None = None
    known: list[Said] = []
    labels: dict[str, dict[str, str]] = {}

    def encode(self) -> bytes:
        """Return the bytes."""
        return _encoder.encode(self)

    @classmethod
    def decode(cls, raw: bytes) -> Header:
        """Read what `encode` wrote; StoreDamagedError where it is something else."""
        try:
            return _decoder.decode(raw)
        except msgspec.DecodeError as error:
            message = f"a checkpoint's header cannot be read: {error}"
            raise StoreDamagedError(message) from error


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Header)


def float64(raw: bytes) -> Float64:
    """Return a writable copy of float64 bytes."""
    return np.frombuffer(raw, "<f8").copy()
