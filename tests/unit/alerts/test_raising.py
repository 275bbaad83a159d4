from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from detector.alerts import body
from detector.alerts.raising import Raising
from detector.config.detection import Detection
from detector.config.sections import Config
from detector.models.incident_state import Facts, Place, shares_of, transition
from detector.models.progress import Anomaly
from detector.types import Partition, Phase, Position, Rows
from detector.types import Place as LogPlace

PLACE = LogPlace(Partition("metrics", 0), "topic-id")
NAN = math.nan
LABELS = {"site": "ams", "rack": ""}


def raised(events: dict[str, Any], given: list[float], observed: list[float], parts: list[float]) -> dict[str, Any]:
    """Return the body of the alert of a row, of which the model saw `observed`."""
    settings = {"source": {"kind": "kafka", "topics": ["metrics"]}, "events": events}
    detection = Detection.of(Config.model_validate(settings))
    rows = Rows(np.zeros(1, np.int64), np.zeros(1, np.int32), np.zeros(1), np.array([given]))
    columns = len(observed)
    anomaly = Anomaly(
        row=0,
        score=4.0,
        at_least=False,
        distance=9.0,
        since=None,
        threshold=4.0,
        model_version=1,
        block=7,
        centroid=0,
        observed=np.array(observed),
        expected=np.arange(1, columns + 1, dtype=np.float32) / 8.0,
        parts=np.array(parts, np.float32),
    )
    row = Place(Position(0), 0.0, 0.0, anomaly)
    facts = Facts("", (0, 0), 1, 0.0, 1e-4, False, False, 1, shares_of(anomaly.parts[None])[0].tolist(), labels=LABELS)  # noqa: FBT003
    opened = transition(facts, Phase.OPEN, None, row, columns)
    (entry,) = Raising("sink").raise_(PLACE, detection, rows, [opened], Position(0))
    found: dict[str, Any] = json.loads(entry.body)
    assert found["labels"] == LABELS
    assert found["features"][0].keys() <= body.schema()["properties"]["features"]["items"]["properties"].keys()
    return found


def test_features_are_told_as_the_model_sees_them_and_whose_they_are() -> None:
    events = {
        "features": [{"name": "requests", "transforms": ["rate"]}, {"name": "cpu", "unit": "%"}],
        "transforms": [{"lags": 1}],
        "cycles": ["hour_of_day"],
    }
    hour = 2 * math.pi * 18 / 24
    alert = raised(events, [1e9, 50.0], [250.0, 50.0, 51.0, math.sin(hour), math.cos(hour)], [6.0, 1.0, 1.0, 1.5, 0.5])
    expected_hour = math.atan2(4 / 8, 5 / 8) / (2 * math.pi) * 24
    requests, cpu, back, hour_of_day = alert["features"]
    unknown = {"incident_mean": None, "incident_spread": None}
    told = {"observed": 250.0, "expected": 0.125, "direction": "rise", "share": 0.6, "incident_share": 0.6}
    assert requests == {"name": "requests (rate)", "feature": "requests", "unit": "1/s", **told, **unknown}
    told = {"observed": 50.0, "expected": 0.25, "direction": "rise", "share": 0.1, "incident_share": 0.1}
    assert cpu == {"name": "cpu", "feature": "cpu", "unit": "%", **told, **unknown}
    assert (back["name"], back["feature"], back["unit"], back["observed"]) == ("cpu (1 back)", "cpu", "%", 51.0)
    assert [hour_of_day.pop(key) for key in ("name", "unit", "direction")] == ["hour of day", "h", "rise"]
    assert {hour_of_day.pop(key) for key in unknown} == {None}
    told = {"observed": 18.0, "expected": expected_hour, "share": 0.2, "incident_share": 0.2}
    assert hour_of_day == pytest.approx(told)
    assert alert["summary"].startswith("metrics/0: requests (rate) 250 1/s (expected 0.125 1/s), 60 % of the distance")
    assert sum(feature["share"] for feature in alert["features"]) == pytest.approx(1.0)


def test_where_all_was_observed_the_confidence_is_full_and_not_spoken_of() -> None:
    alert = raised({"features": ["a", "b"]}, [1.0, 2.0], [1.0, 2.0], [3.0, 1.0])
    assert (alert["confidence"], alert["missing_share"], alert["imputed"]) == (1.0, 0.0, [])
    assert "confidence" not in alert["summary"]


def test_what_is_left_out_lowers_the_confidence_by_its_number() -> None:
    alert = raised({"features": ["a", "b", "c", "d"]}, [1.0, 2.0, 3.0, NAN], [1.0, 2.0, 3.0, NAN], [3.0, 1.0, 0.0, 0.0])
    assert (alert["confidence"], alert["missing_share"], alert["imputed"]) == (0.75, 0.25, [])
    assert alert["features"][3]["observed"] is None
    assert alert["summary"].endswith("; confidence 0.75")


def test_what_stood_in_lowers_it_by_its_part_in_the_distance_too() -> None:
    events = {"features": ["a", "b", {"name": "c", "missing": "zero"}, {"name": "d", "missing": "previous"}]}
    alert = raised(events, [1.0, 2.0, NAN, NAN], [1.0, 2.0, 0.0, 7.0], [3.0, 1.0, 1.0, 5.0])
    assert alert["imputed"] == ["c", "d"]
    assert alert["missing_share"] == 0.5
    assert alert["confidence"] == pytest.approx(0.5 * 0.4)


def test_before_anything_was_observed_nothing_stands_in() -> None:
    events = {"features": ["a", "b"], "missing": "previous"}
    alert = raised(events, [1.0, NAN], [1.0, NAN], [3.0, 0.0])
    assert (alert["confidence"], alert["missing_share"], alert["imputed"]) == (0.5, 0.5, [])


def test_with_next_to_everything_observed_the_words_do_not_round_the_doubt_away() -> None:
    names = [f"f{n}" for n in range(400)]
    values = [1.0] * 399 + [NAN]
    assert raised({"features": names}, values, values, [1.0] * 399 + [0.0])["summary"].endswith("; confidence 0.99")
