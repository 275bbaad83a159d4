"""Avro in the Confluent wire format: a zero byte, the schema's id in four bytes, then the data."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import fastavro
import numpy as np

from detector.decoding import timestamps
from detector.decoding.labels import Lookup
from detector.decoding.paths import FieldPath
from detector.decoding.plan import Plan
from detector.decoding.rows import Fault, Found, assemble, not_a_number, screen
from detector.decoding.schemas import Schema, SchemaError
from detector.decoding.values import matches, name, number
from detector.types import Decoded, Record, RejectReason

# What fastavro raises for data that do not fit their schema.
_FAILURES = (EOFError, LookupError, ValueError, ArithmeticError, TypeError, struct.error)


class Schemas(Protocol):
    """Where schemas come from: registry.Registry is one."""

    def schema(self, number: int) -> Schema:
        """Return the schema of an id; SchemaError, or RegistryUnavailableError."""


@dataclass(slots=True)
class _Events:
    """The rows of a batch so far; each list has one entry a row."""

    owners: list[int] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    values: list[list[float]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    entities: list[str | None] = field(default_factory=list)
    faults: dict[int, Fault] = field(default_factory=dict)
    passed_over: int = 0


class AvroDecoder:
    """Decodes Avro records by the schemas they name. A Decoder: never raises for what a record holds.

    `decode` raises RegistryUnavailableError while the registry is away: nothing is rejected for that, and the same
    records may be decoded again. Logical types count as what they stand for: timestamps are times whatever the
    configured unit, decimals are numbers, UUIDs text.
    """

    def __init__(self, plan: Plan, schemas: Schemas) -> None:
        self._plan = plan
        self._schemas = schemas
        self._features = [(n, path.names) for n, path in enumerate(plan.features) if isinstance(path, FieldPath)]

    def decode(self, records: Sequence[Record]) -> Decoded:
        """Decode records in order, each one independently of the others."""
        plan = self._plan
        screened = screen(plan, records)
        events = _Events(passed_over=screened.passed_over)
        for n, value in zip(screened.numbers, screened.values, strict=True):
            refused = self._add(events, n, value)
            if refused is not None:
                screened.refused[n] = refused
        width = len(self._features)
        found = Found(
            owners=np.array(events.owners, dtype=np.int64),
            numbers=np.array(events.numbers, dtype=np.int32),
            values=np.array(events.values, dtype=np.float64).reshape(len(events.owners), width),
            times=None if plan.time_field is None else np.array(events.times, dtype=np.float64),
            entities=None if plan.entity_field is None else events.entities,
            faults=events.faults,
            refused=screened.refused,
            passed_over=events.passed_over,
        )
        return assemble(plan, records, found, self._opened)

    def _opened(self, value: bytes) -> Lookup:
        """Parse a record for the labels of its rows."""
        document = self._document(value)
        assert not isinstance(document, tuple)  # it has yielded rows
        array = self._array(document)
        assert array is not None
        return lambda row, path: _at(array[row], path.names)

    def _add(self, events: _Events, owner: int, value: bytes) -> Fault | None:
        """Add a record's events; returns why it yields no rows, where that is so."""
        document = self._document(value)
        return document if isinstance(document, tuple) else self._add_document(events, owner, document)

    def _document(self, value: bytes) -> object:
        """Return what a record holds, which is never a tuple; or a Fault, which is one."""
        if len(value) < 5 or value[0] != 0:
            return RejectReason.UNDECODABLE, "expected a zero byte and the schema's id in four bytes, then the data"
        number = int.from_bytes(value[1:5], "big")
        try:
            schema = self._schemas.schema(number)
        except SchemaError as error:
            return RejectReason.UNKNOWN_SCHEMA, str(error)
        data = io.BytesIO(value)
        data.seek(5)
        try:
            document = fastavro.schemaless_reader(data, schema, None)
        except _FAILURES as error:
            # Without fastavro's own text: it has addresses of memory in it, which differ from run to run.
            return RejectReason.UNDECODABLE, f"the data are not as schema {number} has it ({type(error).__name__})"
        if data.tell() != len(value):
            return (
                RejectReason.UNDECODABLE,
                f"{len(value) - data.tell()} bytes are left behind what schema {number} has",
            )
        return document

    def _array(self, document: object) -> list[Any] | None:
        """Return the events of a document; None where it has none."""
        array = document if self._plan.array is None else _at(document, self._plan.array.names)
        if self._plan.array is None and isinstance(document, dict):
            array = [document]
        return array if isinstance(array, list) else None

    def _add_document(self, events: _Events, owner: int, document: object) -> Fault | None:
        plan = self._plan
        array = self._array(document)
        if array is None:
            if plan.where:
                events.passed_over += 1
                return None
            expected = "a record or an array of them" if plan.array is None else "an array of events at events.events"
            return RejectReason.NOT_AN_EVENT, f"expected {expected}"
        if len(array) > plan.limits.rows:
            text = f"the record holds {len(array)} events; at most {plan.limits.rows} (events.limits.rows)"
            return RejectReason.TOO_MANY_ROWS, text
        events.passed_over += not array  # an empty array holds nothing to use and nothing wrong
        for row, event in enumerate(array):
            if all(matches(_at(event, path.names), expected) for path, expected in plan.where):
                self._add_event(events, owner, row, event)
            else:
                events.passed_over += 1
        return None

    def _add_event(self, events: _Events, owner: int, row: int, event: object) -> None:
        plan = self._plan
        values = [number(_at(event, names)) for _, names in self._features]
        if not isinstance(event, dict):
            events.faults[len(events.owners)] = (RejectReason.NOT_AN_EVENT, "an element of the array is not a record")
        elif None in values:
            events.faults[len(events.owners)] = not_a_number(plan, self._features[values.index(None)][0])
        events.values.append([math.nan if value is None else value for value in values])
        if plan.time_field is not None:
            events.times.append(self._time(_at(event, plan.time_field.names)))
        if plan.entity_field is not None:
            events.entities.append(name(_at(event, plan.entity_field.names), plan.limits.entity_bytes))
        events.owners.append(owner)
        events.numbers.append(row)

    def _time(self, value: object) -> float:
        if isinstance(value, datetime):
            return timestamps.from_datetime(value)
        if self._plan.unit == "rfc3339":
            return timestamps.from_text(value)
        count = number(value)
        return math.nan if count is None else count / timestamps.PER_SECOND[self._plan.unit]


def _at(event: Any, names: tuple[str, ...]) -> object:
    """Return what stands at a path; None where nothing does. A UUID is its text."""
    for part in names:
        if not isinstance(event, dict):
            return None
        event = event.get(part)
    return str(event) if isinstance(event, UUID) else event
