from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config.sections import Events
from detector.decoding import build
from detector.decoding.depth import depth
from tests.support.decoding import STAMP, account, assert_same, fuzz, joined, records_of

CONFIG: dict[str, Any] = {
    "features": ["a", "m.b", "m.n.c"],
    "entity": "tags.host",
    "timestamp": {"path": "t", "unit": "ms"},
    "limits": {"depth": 6, "rows": 5, "entity_bytes": 8},
}
CONFIGS = [
    CONFIG,
    {**CONFIG, "timestamp": {"path": "t", "unit": "rfc3339"}},
    {**CONFIG, "where": {"kind": "x"}},
    {**CONFIG, "where": {"m.b": 1, "tags.host": "h"}},
    {**CONFIG, "events": "list"},
    {**CONFIG, "events": "list", "where": {"kind": "x"}},
    {"features": ["a"]},
]


def objects(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    keys = st.sampled_from(["a", "b", "c", "m", "n", "t", "tags", "host", "kind", "list", "é", ""])
    return st.dictionaries(keys, values, max_size=4)


numbers = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -0.0, 1, 5e-324, 1e39, -(2**53) - 1, 2**63, 2**64, 2**100, 10**400, 3.4028235677973366e38]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=10), st.sampled_from(["x", "h"]))
anything = st.recursive(scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), objects(inner)), max_leaves=6)
times = st.one_of(st.just(STAMP), st.just("2026-11-23T06:05:22+00:00"), st.datetimes().map(str), numbers, anything)


def mostly(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(value, value, value, anything)


events = st.fixed_dictionaries(
    {"a": mostly(numbers)},
    optional={
        "t": mostly(times),
        "kind": mostly(st.just("x")),
        "tags": mostly(st.fixed_dictionaries({"host": mostly(st.sampled_from(["h", 7]))})),
        "m": mostly(st.fixed_dictionaries({"b": mostly(numbers)}, optional={"n": mostly(objects(numbers))})),
    },
)
documents = st.one_of(
    events,
    st.lists(mostly(events), max_size=6),
    st.fixed_dictionaries({"list": mostly(st.lists(mostly(events), max_size=6))}),
    anything,
)
values = st.one_of(
    documents.map(lambda d: json.dumps(d, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    documents.map(lambda d: json.dumps(d, indent=1).encode()),
    st.binary(max_size=20),
    st.none(),
)


class Refuses:
    """Stands for a parser that fails on everything, so that the slow path has to do all the work."""

    def decode(self, _document: object) -> object:
        message = "refused"
        raise ValueError(message)

    decode_lines = decode


@pytest.mark.parametrize("config", CONFIGS)
@settings(max_examples=150, deadline=None)
@given(contents=st.lists(values, max_size=5))
def test_the_slow_path_agrees_with_the_fast_one_bit_for_bit(
    config: dict[str, Any], contents: list[bytes | None]
) -> None:
    records = records_of(contents)
    slow: Any = build(Events.model_validate(config))
    slow._document = slow._event = Refuses()
    assert_same(slow.decode(records), build(Events.model_validate(config)).decode(records))


fragments = st.lists(
    st.sampled_from([b'{"a": 1', b"}", b",", b'"m": 2', b"{}", b"[", b"]", b"\n", b"\r", b" ", b'"', b"1"])
)


@settings(max_examples=500, deadline=None)
@given(contents=st.lists(fragments.map(b"".join), min_size=2, max_size=5))
def test_records_that_are_parsed_together_never_run_into_each_other(contents: list[bytes]) -> None:
    config = Events.model_validate({"features": ["a", "m"], "timestamp": {"unit": "ms"}})
    one_by_one = [build(config).decode([record]) for record in records_of(contents)]
    together = build(config).decode(records_of(contents))
    assert together.rows.offsets.tolist() == [o for one in one_by_one for o in one.rows.offsets.tolist()]
    assert together.rows.values.tobytes() == b"".join(one.rows.values.tobytes() for one in one_by_one)
    assert together.rejects == [reject for one in one_by_one for reject in one.rejects]


@pytest.mark.parametrize("config", CONFIGS)
@settings(max_examples=60, deadline=None)
@given(contents=st.lists(values, max_size=6), cut=st.integers(0, 6))
def test_pieces_decode_to_the_same_as_the_whole(config: dict[str, Any], contents: list[bytes | None], cut: int) -> None:
    decoder = build(Events.model_validate(config))
    records = records_of(contents)
    whole = decoder.decode(records)
    assert_same(joined([decoder.decode(records[:cut]), decoder.decode(records[cut:])]), whole)
    if not config.get("where"):
        account(records, whole)


@settings(max_examples=200, deadline=None)
@given(document=st.lists(st.one_of(events, objects(anything)), max_size=5))
def test_where_passes_over_exactly_what_does_not_match(document: list[dict[str, Any]]) -> None:
    decoded = build(Events.model_validate(CONFIGS[2])).decode(records_of([json.dumps(document).encode()]))
    try:
        text = json.dumps(document, allow_nan=False)
    except ValueError:
        return
    if any(reject.rows == () for reject in decoded.rejects):
        return
    wanted = [n for n, event in enumerate(json.loads(text)) if event.get("kind") == "x"]
    rejected = [row for reject in decoded.rejects for row in reject.rows]
    assert sorted([*decoded.rows.rows.tolist(), *rejected]) == wanted
    assert decoded.passed_over == max(len(document) - len(wanted), not document)


def at(event: Any, path: str) -> Any:
    for name in path.split("."):
        event = event.get(name) if isinstance(event, dict) else None
    return event


def read_number(value: object) -> float | str:
    """Say what a number of CONFIG is, as plainly as can be: a float, or the reason against it."""
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "not_a_number"
    try:
        with np.errstate(over="ignore"):
            return float(value) if np.isfinite(np.float32(float(value))) else "not_finite"
    except OverflowError:
        return "not_finite"


def read_event(event: Any) -> list[float | str] | str:
    """Say what an event of CONFIG is: its features and its entity, or the reason against it."""
    entity, time = at(event, "tags.host"), at(event, "t")
    if isinstance(entity, int) and not isinstance(entity, bool):
        entity = str(entity)
    features = [read_number(at(event, path)) for path in CONFIG["features"]]
    if not isinstance(event, dict):
        return "not_an_event"
    if not isinstance(entity, str) or not 1 <= len(entity.encode()) <= 8:
        return "no_entity"
    if isinstance(time, bool) or not isinstance(time, (int, float)) or not -62135596800e3 <= time < 253402300800e3:
        return "no_timestamp"
    if time < STAMP - 7 * 86400e3 or time > STAMP + 3600e3:
        return "too_old" if time < STAMP else "too_far_ahead"
    for reason in ("not_a_number", "not_finite"):
        if reason in features:
            return reason
    return "no_features" if all(value != value for value in features) else [*features, entity]  # noqa: PLR0124 - NaN


finite = st.one_of(st.just(10**400), scalars.filter(lambda value: not isinstance(value, float) or math.isfinite(value)))
sound = st.fixed_dictionaries(
    {
        "a": finite,
        "m": st.fixed_dictionaries({"b": finite, "n": st.fixed_dictionaries({"c": finite})}),
        "t": st.sampled_from([STAMP, STAMP - 1, STAMP, 0]),
        "tags": st.fixed_dictionaries({"host": st.sampled_from(["h", 7, "h", ""])}),
    }
)


@settings(max_examples=400, deadline=None)
@given(document=st.one_of(documents, sound, st.lists(sound, min_size=1, max_size=5)))
def test_each_event_is_what_a_plain_reading_says(document: Any) -> None:
    text = json.dumps(document)
    found = document if isinstance(document, list) else [document]
    if not isinstance(document, (dict, list)) or len(found) > 5 or not found or re.search("NaN|Infinity", text):
        return
    value = text.encode()
    if depth(value) > 6:
        return
    decoded = build(Events.model_validate(CONFIG)).decode(records_of([value]))
    told: dict[int, object] = {
        row: [*values, entity]
        for row, values, entity in zip(
            decoded.rows.rows.tolist(), decoded.rows.values.tolist(), decoded.rows.entities or (), strict=True
        )
    }
    for reject in decoded.rejects:
        told |= dict(zip(reject.rows, map(str, reject.reasons), strict=True))
    assert repr([told[row] for row in range(len(found))]) == repr([read_event(event) for event in found])


def test_a_hundred_thousand_mutated_documents_never_raise() -> None:
    event = {"a": 1.5, "m": {"b": -2, "n": {"c": 3e5}}, "tags": {"host": "wéb-1"}, "t": STAMP, "x": [True, '\n\\"']}
    samples = [json.dumps(d).encode() for d in (event, [event, event], [event] * 5, {"list": [event]})]
    total = fuzz(build(Events.model_validate(CONFIG)), samples, 100_000, seed=1)
    assert total["rows"] > 5_000
    assert total["rejected"] > 1_000
    assert total["records"] > 10_000
