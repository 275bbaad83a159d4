from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config.sections import Events
from detector.decoding import build
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


def test_a_hundred_thousand_mutated_documents_never_raise() -> None:
    event = {"a": 1.5, "m": {"b": -2, "n": {"c": 3e5}}, "tags": {"host": "wéb-1"}, "t": STAMP, "x": [True, '\n\\"']}
    samples = [json.dumps(d).encode() for d in (event, [event, event], [event] * 5, {"list": [event]})]
    total = fuzz(build(Events.model_validate(CONFIG)), samples, 100_000, seed=1)
    assert total["rows"] > 5_000
    assert total["rejected"] > 1_000
    assert total["records"] > 10_000
