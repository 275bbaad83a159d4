from __future__ import annotations

import io
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import fastavro
import pytest

from detector.config.sections import Events
from detector.decoding import build
from detector.errors import RegistryUnavailableError
from detector.types import Decoded, PlainRecord, RejectReason
from tests.support.registry import SchemaRegistry, serving

NOW = 1_795_413_922_000
NUMBER = ["null", "double", "string", "boolean"]
EVENT = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "kind", "type": "string", "default": "cpu"},
        {"name": "a", "type": NUMBER, "default": None},
        {"name": "m", "type": {"type": "map", "values": "long"}, "default": {}},
        {"name": "host", "type": ["null", "string", "long"], "default": None},
        {"name": "t", "type": "long", "default": NOW},
    ],
}
CONFIG = {"features": ["a", "m.b"], "entity": "host", "timestamp": {"path": "t"}}


@pytest.fixture
def server() -> Iterator[SchemaRegistry]:
    with serving(SchemaRegistry()) as registry:
        yield registry


def wire(number: int, schema: Any, value: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return b"\0" + number.to_bytes(4, "big") + out.getvalue()


def decode(server: SchemaRegistry, config: dict[str, Any], *values: bytes | None) -> Decoded:
    events = Events.model_validate({"format": "avro", "registry": {"url": server.url}, **config})
    return build(events).decode([PlainRecord(100 + n, NOW, None, value) for n, value in enumerate(values)])


def test_records_become_rows_by_the_schema_they_name(server: SchemaRegistry) -> None:
    number = server.register(EVENT)
    events = [
        {"a": 1.5, "m": {"b": 2}, "host": "x"},
        {"a": None, "m": {"b": 3}, "host": 7},
        {"a": 4.0, "host": "y", "t": NOW + 1500},
    ]
    decoded = decode(server, CONFIG, *(wire(number, EVENT, event) for event in events), None)
    assert decoded.rows.values[0].tolist() == [1.5, 2.0]
    assert math.isnan(decoded.rows.values[1, 0])
    assert math.isnan(decoded.rows.values[2, 1])
    assert decoded.rows.entities == ["x", "7", "y"]
    assert decoded.rows.times.tolist() == [NOW / 1e3, NOW / 1e3, NOW / 1e3 + 1.5]
    assert decoded.passed_over == 1
    assert decoded.rejects == []
    assert server.requests == ["/schemas/ids/1"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"a": "1", "host": "x"}, RejectReason.NOT_A_NUMBER),
        ({"a": True, "host": "x"}, RejectReason.NOT_A_NUMBER),
        ({"a": math.nan, "host": "x"}, RejectReason.NOT_FINITE),
        ({"a": -math.inf, "host": "x"}, RejectReason.NOT_FINITE),
        ({"a": 1e39, "host": "x"}, RejectReason.NOT_FINITE),
        ({"host": "x"}, RejectReason.NO_FEATURES),
        ({"a": 1.0}, RejectReason.NO_ENTITY),
        ({"a": 1.0, "host": ""}, RejectReason.NO_ENTITY),
        ({"a": 1.0, "host": "x", "t": 2**62}, RejectReason.NO_TIMESTAMP),
        ({"a": 1.0, "host": "x", "t": 0}, RejectReason.TOO_OLD),
        ({"a": 1.0, "host": "x", "t": 2 * NOW}, RejectReason.TOO_FAR_AHEAD),
    ],
)
def test_each_fault_has_its_reason(server: SchemaRegistry, event: dict[str, Any], reason: RejectReason) -> None:
    decoded = decode(server, CONFIG, wire(server.register(EVENT), EVENT, event))
    assert decoded.rejects[0].rows == (0,)
    assert decoded.rejects[0].reasons == (reason,)


def test_bytes_that_are_not_the_wire_format_are_undecodable(server: SchemaRegistry) -> None:
    good = wire(server.register(EVENT), EVENT, {"a": 1.0, "host": "x"})
    for bad in (b"", b"\0\0\0\0", b"\1" + good[1:], good[:-1], good + b"\0", good[:5] + b"\xff" * 20):
        assert decode(server, CONFIG, bad).rejects[0].reasons == (RejectReason.UNDECODABLE,)


def test_a_schema_that_is_not_known_rejects_the_record(server: SchemaRegistry) -> None:
    (reject,) = decode(server, CONFIG, b"\0\0\0\0\x09data").rejects
    assert (reject.rows, reject.reasons) == ((), (RejectReason.UNKNOWN_SCHEMA,))
    assert reject.detail.startswith("schema 9: the registry does not know it")


def test_a_schema_that_would_kill_the_reader_rejects_the_record(server: SchemaRegistry) -> None:
    chain = {"type": "record", "name": "E", "fields": [{"name": "next", "type": ["null", "E"]}]}
    number = server.register(chain)
    (reject,) = decode(server, CONFIG, b"\0" + number.to_bytes(4, "big") + b"\x02" * 1_000_000).rejects
    assert reject.reasons == (RejectReason.UNKNOWN_SCHEMA,)


def test_while_the_registry_is_away_nothing_is_rejected(server: SchemaRegistry) -> None:
    number = server.register(EVENT)
    events = Events.model_validate({"format": "avro", "registry": {"url": server.url}, **CONFIG})
    decoder = build(events)
    records = [PlainRecord(0, NOW, None, wire(number, EVENT, {"a": 1.0, "host": "x"}))]
    server.broken = (503, b"")
    with pytest.raises(RegistryUnavailableError):
        decoder.decode(records)
    server.broken = None
    assert len(decoder.decode(records).rows) == 1


def test_records_of_other_kinds_are_passed_over(server: SchemaRegistry) -> None:
    other = {"type": "record", "name": "Other", "fields": [{"name": "a", "type": "string"}]}
    one, two, three = server.register(EVENT), server.register(other), server.register('"string"')
    config = {**CONFIG, "where": {"kind": "cpu"}}
    values = [
        wire(one, EVENT, {"a": 1.0, "host": "x"}),
        wire(one, EVENT, {"a": "bad", "kind": "disk"}),
        wire(two, other, {"a": "bad"}),
        b"\0\0\0\0" + bytes([three]) + b"\x02x",
    ]
    decoded = decode(server, config, *values)
    assert (len(decoded.rows), decoded.passed_over, decoded.rejects) == (1, 3, [])


def test_events_may_stand_in_an_array(server: SchemaRegistry) -> None:
    array = {"type": "array", "items": [EVENT, "int"]}
    inside = {"type": "record", "name": "Envelope", "fields": [{"name": "events", "type": array}]}
    good, bad = {"a": 1.0, "host": "x"}, {"a": "1", "host": "x"}
    plain = wire(server.register(array), array, [good, bad, 5, good])
    nested = wire(server.register(inside), inside, {"events": [good, bad, 5, good]})
    for config, value in ((CONFIG, plain), ({**CONFIG, "events": "events"}, nested)):
        decoded = decode(server, config, value)
        assert decoded.rows.rows.tolist() == [0, 3]
        assert decoded.rejects[0].rows == (1, 2)
        assert decoded.rejects[0].reasons == (RejectReason.NOT_A_NUMBER, RejectReason.NOT_AN_EVENT)
    assert decode(server, {**CONFIG, "events": "none"}, nested).rejects[0].reasons == (RejectReason.NOT_AN_EVENT,)
    few = {**CONFIG, "limits": {"rows": 3}}
    assert decode(server, few, plain).rejects[0].reasons == (RejectReason.TOO_MANY_ROWS,)
    assert decode(server, CONFIG, wire(1, array, [])).passed_over == 1


def test_logical_types_count_as_what_they_stand_for(server: SchemaRegistry) -> None:
    schema = {
        "type": "record",
        "name": "Event",
        "fields": [
            {"name": "a", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
            {"name": "t", "type": {"type": "long", "logicalType": "timestamp-micros"}},
            {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        ],
    }
    event = {"a": Decimal("1.25"), "t": datetime.fromtimestamp(NOW / 1e3, UTC), "id": UUID(int=5)}
    config = {
        "features": ["a"],
        "entity": "id",
        "timestamp": {"path": "t", "unit": "s"},
        "where": {"id": str(UUID(int=5))},
    }
    decoded = decode(server, config, wire(server.register(schema), schema, event))
    assert decoded.rows.values.tolist() == [[1.25]]
    assert decoded.rows.entities == [str(UUID(int=5))]
    assert decoded.rows.times.tolist() == [NOW / 1e3]


def test_times_may_be_text(server: SchemaRegistry) -> None:
    schema = {
        "type": "record",
        "name": "Event",
        "fields": [{"name": "a", "type": "int"}, {"name": "t", "type": "string"}],
    }
    config = {"features": ["a"], "timestamp": {"path": "t", "unit": "rfc3339"}}
    number = server.register(schema)
    values = [wire(number, schema, {"a": 1, "t": text}) for text in ("2026-11-23T06:05:22Z", "soon")]
    decoded = decode(server, config, *values)
    assert decoded.rows.times.tolist() == [NOW / 1e3]
    assert decoded.rejects[0].reasons == (RejectReason.NO_TIMESTAMP,)


def test_a_schema_with_references_is_read(server: SchemaRegistry) -> None:
    point = {"type": "record", "name": "Point", "namespace": "x", "fields": [{"name": "b", "type": "long"}]}
    event = {"type": "record", "name": "Event", "fields": [{"name": "m", "type": "x.Point"}]}
    server.register(point, subject="point")
    reference = [{"name": "x.Point", "subject": "point", "version": 1}]
    number = server.register(event, references=reference)
    union = server.register(["x.Point"], references=reference)
    data = wire(number, {**event, "fields": [{"name": "m", "type": point}]}, {"m": {"b": 5}})
    assert decode(server, {"features": ["m.b"]}, data).rows.values.tolist() == [[5.0]]
    data = wire(union, [point], {"b": 6})
    assert decode(server, {"features": ["b"]}, data).rows.values.tolist() == [[6.0]]
