from __future__ import annotations

import io
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro

from detector.config.sections import Events
from detector.decoding.avro import AvroDecoder
from detector.decoding.plan import compile_plan
from detector.decoding.schemas import Named, Schema, SchemaError, check, parse
from tests.support.decoding import STAMP, fuzz

EVENT = """{"type": "record", "name": "Event", "fields": [
  {"name": "a", "type": ["null", "double", "string"]},
  {"name": "m", "type": {"type": "map", "values": "long"}},
  {"name": "host", "type": ["null", "string", "long"]},
  {"name": "t", "type": {"type": "long", "logicalType": "timestamp-millis"}},
  {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
  {"name": "u", "type": {"type": "string", "logicalType": "uuid"}},
  {"name": "day", "type": {"type": "int", "logicalType": "date"}},
  {"name": "time", "type": {"type": "int", "logicalType": "time-millis"}},
  {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["x", "y"]}},
  {"name": "f", "type": {"type": "fixed", "name": "F", "size": 3}},
  {"name": "l", "type": {"type": "array", "items": ["boolean", "float"]}}
]}"""
VALUE: dict[str, Any] = {
    "a": 1.5,
    "m": {"b": 2},
    "host": "web-1",
    "t": datetime.fromtimestamp(STAMP / 1e3, UTC),
    "d": Decimal("1.25"),
    "u": UUID(int=5),
    "day": date(2026, 11, 23),
    "time": datetime.fromtimestamp(0, UTC).time(),
    "e": "y",
    "f": b"abc",
    "l": [True, 0.5],
}


class Known:
    """Schemas 1 and 2, and no others."""

    def __init__(self) -> None:
        self.parsed: dict[int, Schema] = {}
        for number, text in ((1, EVENT), (2, f'{{"type": "array", "items": {EVENT}}}')):
            named: Named = {}
            self.parsed[number] = parse(text, named)
            check(self.parsed[number], named)

    def schema(self, number: int) -> Schema:
        if number not in self.parsed:
            message = f"schema {number}: unknown"
            raise SchemaError(message)
        return self.parsed[number]


def test_a_hundred_thousand_mutated_records_never_raise() -> None:
    schemas = Known()
    samples = []
    for number, value in ((1, VALUE), (1, {**VALUE, "host": 7, "a": None}), (2, [VALUE] * 3), (2, [VALUE])):
        out = io.BytesIO(b"\0" + number.to_bytes(4, "big"))
        out.seek(5)
        fastavro.schemaless_writer(out, schemas.schema(number), value)
        samples.append(out.getvalue())
    config = {
        "format": "avro",
        "registry": {"url": "http://127.0.0.1:1"},
        "features": ["a", "m.b", "d"],
        "entity": "host",
        "timestamp": {"path": "t", "unit": "ms"},
    }
    total = fuzz(AvroDecoder(compile_plan(Events.model_validate(config)), schemas), samples, 100_000, seed=3)
    assert total["rows"] > 5_000
    assert total["rejected"] > 500
    assert total["records"] > 10_000
