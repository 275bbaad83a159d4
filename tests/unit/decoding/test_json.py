from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from detector.config.sections import Events
from detector.decoding import build
from detector.types import Decoded, PlainRecord, RejectReason

NOW = 1_795_413_922_000
TELEGRAF = {
    "features": [{"name": "idle", "path": "fields.usage_idle"}, {"name": "user", "path": "fields.usage_user"}],
    "entity": "tags.host",
    "timestamp": {"path": "timestamp", "unit": "s"},
    "where": {"name": "cpu"},
}


def decode(config: dict[str, Any], *values: object, timestamp: int = NOW, **record: Any) -> Decoded:
    contents = [v if v is None or isinstance(v, bytes) else json.dumps(v).encode() for v in values]
    records = [
        PlainRecord(100 + n, timestamp, record.get("key"), v, record.get("headers", ())) for n, v in enumerate(contents)
    ]
    return build(Events.model_validate(config)).decode(records)


def only_reason(decoded: Decoded) -> RejectReason:
    assert len(decoded.rows) == 0
    (reject,) = decoded.rejects
    (reason,) = reject.reasons
    assert reject.detail.isprintable()
    assert 0 < len(reject.detail) <= 200
    return reason


def test_telegraf_records_become_rows_and_other_kinds_are_passed_over() -> None:
    cpu = (
        b'{"fields":{"usage_idle":93.5,"usage_user":4,"usage_system":2.5},"name":"cpu",'
        b'"tags":{"cpu":"cpu-total","host":"web-1"},"timestamp":1795413922}'
    )
    disk = b'{"fields":{"usage_idle":"n/a","used":7},"name":"disk","tags":{"host":5.5},"timestamp":"soon"}'
    other = [b"[]", b"5", b'{"name":null}', b'{"fields":3}', b'[{"name":"mem"},7]']
    decoded = decode(TELEGRAF, cpu, disk, *other, cpu)
    assert decoded.rows.values.tolist() == [[93.5, 4.0], [93.5, 4.0]]
    assert decoded.rows.values.dtype == np.float64
    assert decoded.rows.times.tolist() == [1795413922.0] * 2
    assert decoded.rows.entities == ["web-1", "web-1"]
    assert decoded.rows.offsets.tolist() == [100, 107]
    assert decoded.rows.rows.tolist() == [0, 0]
    assert decoded.rejects == []
    assert decoded.passed_over == 7


def test_an_event_without_a_feature_that_must_be_there_is_rejected() -> None:
    features = ["a", {"name": "b", "missing": "reject"}, {"name": "c", "missing": "reject"}]
    rows = [{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2}, {"b": 2, "c": 3}, {"a": 1, "b": None, "c": "x"}, {}]
    decoded = decode({"features": features}, rows)
    assert decoded.rows.rows.tolist() == [0, 2]
    (reject,) = decoded.rejects
    missing, wrong, empty = RejectReason.MISSING_FEATURE, RejectReason.NOT_A_NUMBER, RejectReason.NO_FEATURES
    assert (reject.rows, reject.reasons) == ((1, 3, 4), (missing, wrong, empty))
    assert reject.detail == "feature 'c' (c): is missing, and `missing: reject` asks for it"


def test_all_features_must_be_there_where_it_is_declared_for_all() -> None:
    features = [{"name": "a", "missing": "zero"}, "b"]
    assert len(decode({"features": features, "missing": "reject"}, {"b": 1}).rows) == 1
    assert only_reason(decode({"features": features, "missing": "reject"}, {"a": 1})) is RejectReason.MISSING_FEATURE


def test_a_flat_event_uses_the_records_own_time() -> None:
    decoded = decode({"features": ["a", "b"]}, {"a": 1, "b": 2.5, "c": "ignored"})
    assert decoded.rows.values.tolist() == [[1.0, 2.5]]
    assert decoded.rows.times.tolist() == [NOW / 1e3]
    assert decoded.rows.entities is None


@pytest.mark.parametrize(
    "event", [{"a": 1}, {"a": 1, "b": None}, {"a": 1, "m": 3}, {"a": 1, "m": None}, {"a": 1, "m": {}}]
)
def test_null_and_absent_are_missing(event: dict[str, Any]) -> None:
    config = {"features": ["a", "m.b"]} if "m" in event else {"features": ["a", "b"]}
    values = decode(config, event).rows.values
    assert values[0, 0] == 1.0
    assert math.isnan(values[0, 1])


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b'{"a":true}', RejectReason.NOT_A_NUMBER),
        (b'{"a":"1"}', RejectReason.NOT_A_NUMBER),
        (b'{"a":[1]}', RejectReason.NOT_A_NUMBER),
        (b'{"a":{"a":1}}', RejectReason.NOT_A_NUMBER),
        (b'{"a":1e400}', RejectReason.NOT_FINITE),
        (b'{"a":-1e400}', RejectReason.NOT_FINITE),
        (b'{"a":1e39}', RejectReason.NOT_FINITE),
        (b'{"a": ' + b"9" * 400 + b"}", RejectReason.NOT_FINITE),
        (b'{"a":' + b"9" * 5000 + b"}", RejectReason.NOT_FINITE),
        (b'{"a":NaN}', RejectReason.UNDECODABLE),
        (b'{"a":Infinity}', RejectReason.UNDECODABLE),
        (b'{"a":null}', RejectReason.NO_FEATURES),
        (b"{}", RejectReason.NO_FEATURES),
        (b"", RejectReason.UNDECODABLE),
        (b'{"a":1', RejectReason.UNDECODABLE),
        (b'{"a":true', RejectReason.UNDECODABLE),
        (b'{"a":1}}', RejectReason.UNDECODABLE),
        (b"[1", RejectReason.UNDECODABLE),
        (b'"a', RejectReason.UNDECODABLE),
        (b"5", RejectReason.NOT_AN_EVENT),
        (b"null", RejectReason.NOT_AN_EVENT),
        (b'"a"', RejectReason.NOT_AN_EVENT),
        (b"[1]", RejectReason.NOT_AN_EVENT),
        (b"[[]]", RejectReason.NOT_AN_EVENT),
        (b"[" * 33 + b"]" * 33, RejectReason.TOO_DEEP),
        (b"[" * 100_000, RejectReason.TOO_DEEP),
        (b'{"a":1,"x":' + b'{"y":' * 32 + b"1" + b"}" * 33, RejectReason.TOO_DEEP),
        (b'{"a":1,"x":"' + b"x" * (4 << 20) + b'"}', RejectReason.TOO_LARGE),
    ],
)
def test_each_fault_has_its_reason(document: bytes, reason: RejectReason) -> None:
    assert only_reason(decode({"features": ["a"]}, document)) is reason


def test_a_document_as_deep_as_the_limit_is_read() -> None:
    assert len(decode({"features": ["a"]}, b'{"a":1,"x":' + b"[" * 31 + b"]" * 31 + b"}").rows) == 1


def test_the_last_of_equal_keys_wins() -> None:
    documents = [b'{"a":1,"a":2}', b'{"a":true,"a":2}', b'{"m":{"a":9},"a":2,"m":{}}']
    assert decode({"features": ["a"]}, *documents).rows.values.tolist() == [[2.0]] * 3
    assert only_reason(decode({"features": ["a"]}, b'{"a":2,"a":true}')) is RejectReason.NOT_A_NUMBER
    nested = decode({"features": ["m.a", "b"]}, b'{"b":1,"m":{"a":9},"m":{}}', b'{"b":1,"m":5,"m":{"a":2}}')
    assert nested.rows.values[1].tolist() == [2.0, 1.0]
    assert math.isnan(nested.rows.values[0, 0])


def test_one_bad_event_of_an_array_is_rejected_alone() -> None:
    decoded = decode({"features": ["a"]}, [{"a": 1}, {"a": "x"}, {"a": 3}, 4, {"a": 1e39}, {"a": 6}])
    assert decoded.rows.values.tolist() == [[1.0], [3.0], [6.0]]
    assert decoded.rows.rows.tolist() == [0, 2, 5]
    (reject,) = decoded.rejects
    assert reject.rows == (1, 3, 4)
    assert reject.reasons == (RejectReason.NOT_A_NUMBER, RejectReason.NOT_AN_EVENT, RejectReason.NOT_FINITE)
    assert reject.detail == "feature 'a' (a): expected a number"


def test_an_empty_array_is_passed_over() -> None:
    decoded = decode({"features": ["a"]}, [], b" [ ] ")
    assert (len(decoded.rows), decoded.rejects, decoded.passed_over) == (0, [], 2)


def test_events_may_stand_at_a_path() -> None:
    config = {"features": ["m.a"], "events": 'data."the.events"'}
    document = {"data": {"the.events": [{"m": {"a": 1}}, {"m": {"a": 2}}]}, "m": {"a": 3}}
    assert decode(config, document).rows.values.tolist() == [[1.0], [2.0]]
    mixed = {"data": {"the.events": [{"m": {"a": 1}}, {"m": {"a": "2"}}, 3]}}
    assert decode(config, mixed).rejects[0].rows == (1, 2)
    others: list[object] = [{}, {"data": None}, {"data": 3}, {"data": {"the.events": {}}}, [document], 7]
    for other in others:
        assert only_reason(decode(config, other)) is RejectReason.NOT_AN_EVENT
        assert decode({**config, "where": {"x": 1}}, other).passed_over == 1


def test_too_many_rows_reject_the_record() -> None:
    config = {"features": ["a"], "limits": {"rows": 2}}
    assert len(decode(config, [{"a": 1}] * 2).rows) == 2
    for third in ({"a": 1}, {"a": "x"}):
        decoded = decode(config, [{"a": 1}, {"a": 1}, third])
        assert only_reason(decoded) is RejectReason.TOO_MANY_ROWS
        assert decoded.rejects[0].rows == ()


@pytest.mark.parametrize(
    ("entity", "expected"),
    [("web-1", "web-1"), (7, "7"), (-3, "-3"), ("é" * 128, "é" * 128), (2**80, str(2**80))],
)
def test_an_entity_is_text_or_an_integer(entity: object, expected: str) -> None:
    assert decode({"features": ["a"], "entity": "e"}, {"a": 1, "e": entity}).rows.entities == [expected]


@pytest.mark.parametrize("entity", [None, "", True, 1.5, [], {}, "x" * 257, "é" * 129, 10**4000])
def test_anything_else_is_no_entity(entity: object) -> None:
    document = {"a": 1, "e": entity}
    assert only_reason(decode({"features": ["a"], "entity": "e"}, document)) is RejectReason.NO_ENTITY


@pytest.mark.parametrize(
    ("unit", "value"),
    [
        ("s", 1795413922.5),
        ("ms", 1795413922500),
        ("us", 1795413922500000),
        ("ns", 1795413922500000000),
        ("rfc3339", "2026-11-23T06:05:22.5Z"),
        ("rfc3339", "2026-11-23T07:05:22.5+01:00"),
    ],
)
def test_times_are_read_in_their_unit(unit: str, value: object) -> None:
    config = {"features": ["a"], "timestamp": {"path": "t", "unit": unit}}
    assert decode(config, {"a": 1, "t": value}).rows.times.tolist() == [1795413922.5]


@pytest.mark.parametrize("unit", ["ms", "rfc3339"])
@pytest.mark.parametrize("value", [None, "", "soon", True, [], 1e300, -1e300, 1e17])
def test_without_a_usable_time_a_row_is_rejected(unit: str, value: object) -> None:
    config = {"features": ["a"], "timestamp": {"path": "t", "unit": unit}}
    assert only_reason(decode(config, {"a": 1, "t": value})) is RejectReason.NO_TIMESTAMP


def test_age_is_judged_against_the_records_own_time() -> None:
    config = {
        "features": ["a"],
        "timestamp": {"path": "t"},
        "limits": {"too_old": "10s", "too_far_ahead": "5s"},
    }
    events = [{"a": 1, "t": NOW + 1000 * s} for s in (-10, -10.5, 5, 5.5)]
    decoded = decode(config, *events)
    assert decoded.rows.offsets.tolist() == [100, 102]
    assert [reject.reasons for reject in decoded.rejects] == [(RejectReason.TOO_OLD,), (RejectReason.TOO_FAR_AHEAD,)]
    assert len(decode(config, *events, timestamp=-1).rows) == 4


def test_without_any_time_a_row_is_rejected() -> None:
    assert only_reason(decode({"features": ["a"]}, {"a": 1}, timestamp=-1)) is RejectReason.NO_TIMESTAMP


def test_a_row_has_the_first_reason_that_holds() -> None:
    config = {"features": ["a", "b"], "entity": "e", "timestamp": {"path": "t"}}
    steps: list[tuple[dict[str, Any], RejectReason]] = [
        ({"a": True, "b": 1e39}, RejectReason.NO_ENTITY),
        ({"e": "x"}, RejectReason.NO_TIMESTAMP),
        ({"t": 0}, RejectReason.TOO_OLD),
        ({"t": NOW}, RejectReason.NOT_A_NUMBER),
        ({"a": None}, RejectReason.NOT_FINITE),
        ({"b": None}, RejectReason.NO_FEATURES),
    ]
    event: dict[str, Any] = {}
    for change, reason in steps:
        event |= change
        assert only_reason(decode(config, event)) is reason


def test_key_and_headers_serve_as_entity_time_feature_and_condition() -> None:
    config = {
        "features": ["a", {"name": "load", "path": "$headers.load"}],
        "entity": "$key",
        "timestamp": {"path": "$headers.at", "unit": "rfc3339"},
        "where": {"$headers.kind": "cpu", "$headers.version": 2},
    }
    headers = [("load", b"0.5"), ("at", b"2026-11-23T06:05:22Z"), ("kind", b"cpu"), ("version", b"2")]
    decoded = decode(config, {"a": 1}, [{"a": 2}, {"a": 3}], key=b"web-1", headers=headers)
    assert decoded.rows.values.tolist() == [[1.0, 0.5], [2.0, 0.5], [3.0, 0.5]]
    assert decoded.rows.entities == ["web-1"] * 3
    assert decoded.rows.times.tolist() == [1795413922.0] * 3
    assert decode(config, b"\xff not JSON", key=b"web-1", headers=[("kind", b"disk")]).passed_over == 1
    assert only_reason(decode(config, {"a": 1}, headers=headers)) is RejectReason.NO_ENTITY
    assert only_reason(decode(config, {"a": 1}, key=b"\xff", headers=headers)) is RejectReason.NO_ENTITY
    bad = [("load", b"high"), *headers[1:]]
    assert only_reason(decode(config, {"a": 1}, key=b"web-1", headers=bad)) is RejectReason.NOT_A_NUMBER
    assert only_reason(decode(config, {"a": 1}, key=b"web-1", headers=headers[:1] + headers[2:])) is (
        RejectReason.NO_TIMESTAMP
    )


@pytest.mark.parametrize(
    ("value", "found"),
    [(200, 1), (200.0, 1), (True, 0), ("200", 0), (None, 0), ([200], 0), ({}, 0), (10**400, 0)],
)
def test_where_may_ask_for_a_number_that_is_also_a_feature(value: object, found: int) -> None:
    config = {"features": ["status"], "where": {"status": 200}}
    decoded = decode(config, {"status": value})
    assert (len(decoded.rows), decoded.passed_over, decoded.rejects) == (found, 1 - found, [])


def test_where_may_ask_for_true() -> None:
    decoded = decode({"features": ["a"], "where": {"up": True}}, {"a": 1, "up": True}, {"a": 1, "up": 1}, {"a": 1})
    assert (len(decoded.rows), decoded.passed_over) == (1, 2)


def test_where_leaves_rows_their_numbers() -> None:
    events = [
        {"k": "x", "a": 1},
        {"k": "y", "a": 1},
        {"k": "x", "a": "bad"},
        {"k": "y", "a": "bad"},
        {"k": "x", "a": 5},
    ]
    decoded = decode({"features": ["a"], "where": {"k": "x"}}, events)
    assert decoded.rows.rows.tolist() == [0, 4]
    assert decoded.rejects[0].rows == (2,)
    assert decoded.passed_over == 2


def test_a_tombstone_is_passed_over() -> None:
    assert decode({"features": ["a"]}, None).passed_over == 1


def test_bytes_that_are_not_utf8_matter_only_where_they_are_read() -> None:
    config = {"features": ["a"], "entity": "e"}
    assert len(decode(config, b'{"a":1,"e":"x","other":"\xff"}').rows) == 1
    assert only_reason(decode(config, b'{"a":1,"e":"\xff"}')) is RejectReason.NO_ENTITY


def test_rejects_keep_the_order_of_the_log() -> None:
    decoded = decode({"features": ["a"]}, {"a": "x"}, b"{", {"a": 1}, {}, b"\xff")
    assert [reject.record.offset for reject in decoded.rejects] == [100, 101, 103, 104]


def test_no_records_decode_to_no_rows() -> None:
    decoded = decode({"features": ["a", "b"], "entity": "e"})
    assert decoded.rows.values.shape == (0, 2)
    assert decoded.rows.entities == []


@pytest.mark.parametrize(
    "config",
    [
        {"features": ["a", "a.b"]},
        {"features": ["a.b", "a"]},
        {"features": ["a"], "entity": "a"},
        {"features": ["a"], "where": {"a.b": 1}},
        {"features": ["a"], "timestamp": {"path": "a", "unit": "rfc3339"}},
        {"features": [{"name": "x", "path": '"a\\"b"'}]},
        {"features": ["a"], "events": "$key"},
        {"features": ["a..b"]},
    ],
)
def test_paths_that_do_not_go_together_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"change one|rename the field|path inside the event|expected a name"):
        Events.model_validate(config)


def test_an_integer_of_too_many_digits_is_no_entity() -> None:
    document = b'{"a":1,"e":1' + b"0" * 5000 + b"}"
    assert only_reason(decode({"features": ["a"], "entity": "e"}, document)) is RejectReason.NO_ENTITY


def test_two_features_and_the_time_may_share_a_path() -> None:
    config = {"features": ["t", {"name": "again", "path": "t"}], "timestamp": {"path": "t", "unit": "ms"}}
    assert decode(config, {"t": NOW}).rows.values.tolist() == [[NOW, NOW]]
