"""Labels of rows in every format: read from the record when they are asked for."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from detector.config.sections import Events
from detector.decoding.build import build
from detector.decoding.labels import Lookup, of_rows, text_of
from detector.decoding.plan import compile_plan
from detector.types import Decoded, PlainRecord
from tests.support.registry import SchemaRegistry, serving
from tests.unit.decoding.test_arrow import stream
from tests.unit.decoding.test_avro import wire

CONFIG: dict[str, Any] = {
    "features": ["a"],
    "entity": "host",
    "labels": {"site": "meta.site", "rack": "rack", "region": "$headers.region", "again": "meta.site"},
}
HEADERS = (("region", b"eu"),)


def decode(values: list[bytes], **config: Any) -> Decoded:
    records = [PlainRecord(100 + 3 * n, 1_795_413_922_000, None, value, HEADERS) for n, value in enumerate(values)]
    return build(Events.model_validate(CONFIG | config)).decode(records)


def labels(decoded: Decoded) -> list[tuple[str, ...]]:
    """Return the labels of all rows, the last first: they may be asked for in any order."""
    rows = decoded.rows
    assert rows.labels is not None
    places = list(zip(rows.offsets.tolist(), rows.rows.tolist(), strict=True))
    found = [rows.labels(*place) for place in reversed(places)]
    assert all(list(each) == ["site", "rack", "region", "again"] for each in found)
    return [tuple(each.values()) for each in found]


def test_of_json_they_are_told_by_row() -> None:
    one = b'{"host":"h","a":1,"meta":{"site":"ams"},"rack":7}'
    several = (
        b'[{"host":"h","a":"x","meta":{"site":"not this one"}},{"host":"h","a":2,"meta":5,"rack":true},'
        b'{"host":"i","a":3,"meta":{"site":"fra"},"rack":null}]'
    )
    assert labels(decode([one, several])) == [
        ("fra", "", "eu", "fra"),
        ("", "true", "eu", ""),
        ("ams", "7", "eu", "ams"),
    ]


def test_of_json_with_an_array_inside_and_events_passed_over_they_are_those_of_the_row() -> None:
    value = b'{"data":[{"k":1,"host":"h","a":1},{"k":2,"host":"h","a":2,"rack":"r2"},{"k":2,"host":"i","a":2}]}'
    decoded = decode([value], events="data", where={"k": 2})
    assert labels(decoded) == [("", "", "eu", ""), ("", "r2", "eu", "")]


def test_of_arrow_they_are_told_by_row_through_batches_and_structs() -> None:
    def batch(site: str, racks: list[int | None]) -> Any:
        n = len(racks)
        meta = pa.array([{"site": f"{site}{i}"} for i in range(n)])
        rack = pa.array(racks).dictionary_encode()
        return pa.record_batch({"a": pa.array([1.0] * n), "host": pa.array(["h"] * n), "meta": meta, "rack": rack})

    nothing = batch("x", [1]).slice(1)
    value = stream(batch("ams", [1, None]), nothing, batch("fra", [3]))
    decoded = decode([value], format="arrow", where={"rack": 3})
    assert labels(decoded) == [("fra0", "3", "eu", "fra0")]
    decoded = decode([value, stream(batch("ber", [4]))], format="arrow")
    assert labels(decoded) == [
        ("ber0", "4", "eu", "ber0"),
        ("fra0", "3", "eu", "fra0"),
        ("ams1", "", "eu", "ams1"),
        ("ams0", "1", "eu", "ams0"),
    ]


def test_of_avro_they_are_told_by_row() -> None:
    event = {
        "type": "record",
        "name": "Event",
        "fields": [
            {"name": "a", "type": "double"},
            {"name": "host", "type": "string"},
            {"name": "meta", "type": {"type": "map", "values": "string"}},
            {"name": "rack", "type": {"type": "enum", "name": "Rack", "symbols": ["R1", "R2"]}},
        ],
    }
    many = {"type": "array", "items": event}
    events = [{"a": 1.0, "host": "h", "meta": {"site": s}, "rack": r} for s, r in (("ams", "R1"), ("fra", "R2"))]
    with serving(SchemaRegistry()) as server:
        number = server.register(many)
        decoded = decode([wire(number, many, events)], format="avro", registry={"url": server.url})
        assert labels(decoded) == [("fra", "R2", "eu", "fra"), ("ams", "R1", "eu", "ams")]


def test_a_record_is_parsed_once_for_all_its_rows_and_only_if_asked() -> None:
    parsed: list[bytes] = []

    def opened(value: bytes) -> Lookup:
        parsed.append(value)
        return lambda row, path: f"{path.names[0]}{row}"

    records = [PlainRecord(n, 0, None, str(n).encode(), HEADERS) for n in range(3)]
    told = of_rows(compile_plan(Events.model_validate(CONFIG)), records, opened)
    assert told is not None
    assert parsed == []
    for row in (4, 7):
        assert told(1, row) == {"site": f"meta{row}", "rack": f"rack{row}", "region": "eu", "again": f"meta{row}"}
    assert parsed == [b"1"]


def test_where_none_are_configured_there_is_nothing_to_ask() -> None:
    assert decode([b'{"host":"h","a":1}'], labels={}).rows.labels is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("ams", "ams"),
        ("", ""),
        (None, ""),
        (True, "true"),
        (7, "7"),
        (10**400, ""),
        (1.5, "1.5"),
        (float("nan"), ""),
        (Decimal("1.50"), "1.50"),
        ({"a": 1}, ""),
        ([1], ""),
        ("ü" * 200, "ü" * 128),
    ],
)
def test_values_become_short_texts(value: object, text: str) -> None:
    assert text_of(value) == text
