from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped]  # it ships no types

from detector.alerts import body
from detector.types import Alert, Phase, Reason, Severity
from tests.support.alerts import FINDING, absence, alert, ended


def decoded(made: Alert | None = None, units: dict[str, str] | None = None) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(body.encode(made or alert(), units or {}))
    return document


def scored(score: float, *, at_least: bool = False, distance: float = 12.5) -> Alert:
    finding = replace(FINDING, score=score, at_least=at_least, distance=distance)
    incident = replace(alert().incident, peak=score, peak_at_least=at_least)
    return alert(finding=finding, incident=incident)


def validator() -> Draft202012Validator:
    Draft202012Validator.check_schema(body.schema())
    return Draft202012Validator(body.schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize(
    "made",
    [
        alert(),
        alert(entity=None),
        replace(scored(6.0, at_least=True), severity=Severity.CRITICAL),
        alert(time=1e15),
        alert(time=-1e15),
        alert(entity="line\nbreak \u2028 \U0001f600"),
        scored(400.0),
        absence("host-7"),
        absence("a", "b", count=2),
        absence("a", "b", count=7, reason=Reason.GIVEN_UP),
        absence("host-7", reason=Reason.RETURNED),
        ended(Reason.RECOVERED, finding=FINDING),
        ended(Reason.NO_DATA),
        ended(Reason.FORGOTTEN, incident=replace(alert().incident, shares=(0.0, 0.0, 0.0))),
        replace(ended(Reason.REPEAT, finding=FINDING), phase=Phase.UPDATE),
        replace(ended(Reason.SEVERITY, finding=FINDING), phase=Phase.UPDATE),
    ],
)
@pytest.mark.parametrize("units", [{}, {"cpu": "%"}])
def test_an_alert_is_what_its_schema_says(made: Alert, units: dict[str, str]) -> None:
    validator().validate(decoded(made, units))


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
    assert decoded()["incident"].keys() == body.schema()["properties"]["incident"]["properties"].keys()


def test_the_same_alert_is_the_same_bytes() -> None:
    assert body.encode(alert()) == body.encode(alert())


def test_all_that_was_found_is_in_the_body() -> None:
    found = decoded(units={"cpu": "%"})
    assert found.pop("id") == alert().id
    assert found == {
        "schema": 2,
        "kind": "anomaly",
        "phase": "open",
        "reason": None,
        "severity": "warning",
        "summary": "host-7: cpu 97.1 % (expected 31.2 %), 83 % of the distance; 1 in 10,000; away from normal for 90 s",
        "entity": "host-7",
        "labels": {},
        "time": "2026-11-23T06:05:22.250000Z",
        "epoch": 1795413922.25,
        "topic": "metrics",
        "partition": 3,
        "offset": 17,
        "row": 2,
        "incident": {
            "id": alert().incident.id,
            "sequence": 1,
            "start": "2026-11-23T06:05:22.250000Z",
            "start_epoch": 1795413922.25,
            "duration": 0.0,
            "peak_score": 4.0,
            "peak_at_least": False,
            "peak_score_words": "4.0",
            "peak_rate_words": "1 in 10,000",
            "count": 1,
        },
        "absent": [],
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
        "since": "2026-11-23T06:03:52.250000Z",
        "since_epoch": 1795413832.25,
        "confidence": 1.0,
        "missing_share": 0.0,
        "imputed": [],
        "features": [
            {
                "name": "cpu",
                "feature": "cpu",
                "observed": 97.1,
                "expected": 31.2,
                "direction": "rise",
                "share": 0.83,
                "incident_share": 0.83,
                "incident_mean": None,
                "incident_spread": None,
                "unit": "%",
            },
            {
                "name": "memory",
                "feature": "memory",
                "observed": None,
                "expected": 55.0,
                "direction": None,
                "share": 0.0,
                "incident_share": 0.0,
                "incident_mean": None,
                "incident_spread": None,
            },
            {
                "name": "load",
                "feature": "load",
                "observed": 3.5,
                "expected": 1.25,
                "direction": "rise",
                "share": 0.17,
                "incident_share": 0.17,
                "incident_mean": None,
                "incident_spread": None,
            },
        ],
    }


def test_of_an_absence_there_is_who_and_for_how_long_and_no_score() -> None:
    found = decoded(absence("a", "b", count=7))
    assert (found["kind"], found["entity"], found["absent"]) == ("absence", None, ["a", "b"])
    assert (found["incident"]["count"], found["incident"]["duration"]) == (7, 720.0)
    assert {found[name] for name in ("score", "since", "distance")} == {None}
    assert {found["incident"][f"peak_{name}"] for name in ("score", "at_least", "score_words")} == {None}
    assert decoded()["absent"] == []


def test_where_the_row_is_another_entitys_there_is_the_incident_alone() -> None:
    found = decoded(ended(Reason.NO_DATA), {"cpu": "%"})
    assert (found["phase"], found["reason"], found["id"]) == ("resolve", "no_data", f"{alert().incident.id}-2")
    assert {found[name] for name in ("score", "rate_words", "threshold", "block", "centroid")} == {None}
    assert (found["incident"]["count"], found["incident"]["peak_score_words"]) == (31, "at least 6.0")
    assert found["features"][0] == {
        "name": "cpu",
        "feature": "cpu",
        "observed": None,
        "expected": None,
        "direction": None,
        "share": None,
        "incident_share": 0.25,
        "incident_mean": None,
        "incident_spread": None,
        "unit": "%",
    }


def test_numbers_keep_every_bit() -> None:
    assert decoded(scored(4.123456789012345))["score"] == 4.123456789012345
    assert decoded(scored(4.0, distance=1 / 3))["distance"] == 1 / 3


def test_past_the_reference_the_rate_is_a_bound() -> None:
    found = decoded(scored(6.0, at_least=True))
    assert (found["score_words"], found["rate_words"]) == ("at least 6.0", "at most 1 in 1,000,000")
    assert found["rate"] == pytest.approx(1e-6)
