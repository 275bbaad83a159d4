from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped]  # it ships no types

from detector.alerts import body
from tests.support.alerts import alert


def decoded(**changes: Any) -> dict[str, Any]:
    units = changes.pop("units", {})
    made: dict[str, Any] = json.loads(body.encode(alert(**changes), units))
    return made


def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(body.schema())
    return Draft202012Validator(body.schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"entity": None},
        {"at_least": True, "score": 6.0, "severity": "critical"},
        {"units": {"cpu": "%"}},
        {"time": 1e15},
        {"time": -1e15},
        {"entity": "line\nbreak \u2028 \U0001f600"},
        {"score": 400.0},
    ],
)
def test_an_alert_is_what_its_schema_says(changes: dict[str, Any]) -> None:
    validator().validate(decoded(**changes))


@pytest.mark.parametrize("field", sorted(body.schema()["properties"]))
def test_the_schema_misses_any_field_that_is_left_out(field: str) -> None:
    document = decoded()
    del document[field]
    with pytest.raises(ValidationError):
        validator().validate(document)


def test_the_schema_describes_every_field() -> None:
    assert decoded().keys() == body.schema()["properties"].keys()
    item = body.schema()["properties"]["features"]["items"]
    assert decoded(units={"cpu": "%"})["features"][0].keys() == item["properties"].keys()


def test_the_same_alert_is_the_same_bytes() -> None:
    assert body.encode(alert()) == body.encode(alert())


def test_all_that_was_found_is_in_the_body() -> None:
    found = decoded(units={"cpu": "%"})
    assert found.pop("id") == alert().id
    assert found == {
        "schema": 1,
        "kind": "anomaly",
        "severity": "warning",
        "summary": "host-7: cpu 97.1 % (expected 31.2 %), 83 % of the distance; 1 in 10,000",
        "entity": "host-7",
        "time": "2026-11-23T06:05:22.250000Z",
        "epoch": 1795413922.25,
        "topic": "metrics",
        "partition": 3,
        "offset": 17,
        "row": 2,
        "score": 4.0,
        "at_least": False,
        "score_words": "4.0",
        "rate": 1e-4,
        "rate_words": "1 in 10,000",
        "threshold": 3.5,
        "distance": 12.5,
        "model_version": 1,
        "block": 812,
        "centroid": 5,
        "features": [
            {"name": "cpu", "observed": 97.1, "expected": 31.2, "share": 0.83, "unit": "%"},
            {"name": "memory", "observed": None, "expected": 55.0, "share": 0.0},
            {"name": "load", "observed": 3.5, "expected": 1.25, "share": 0.17},
        ],
    }


def test_numbers_keep_every_bit() -> None:
    assert decoded(score=4.123456789012345, distance=1 / 3)["score"] == 4.123456789012345
    assert decoded(distance=1 / 3)["distance"] == 1 / 3


def test_past_the_reference_the_rate_is_a_bound() -> None:
    found = decoded(score=6.0, at_least=True)
    assert (found["score_words"], found["rate_words"]) == ("at least 6.0", "at most 1 in 1,000,000")
    assert found["rate"] == pytest.approx(1e-6)
