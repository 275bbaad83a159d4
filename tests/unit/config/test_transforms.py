from __future__ import annotations

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from detector.config.detection import Detection
from detector.config.document import read
from detector.config.load import parse
from detector.config.schema import schema
from detector.config.sections import Config
from detector.config.transforms import Step
from detector.errors import ConfigError

START = "source: {kind: kafka, topics: [a]}\nevents:\n  features: [cpu, {name: requests"
DECLARED = START + ", transforms: [rate, log1p, {lags: 2}], missing: reject}]\n  transforms: [{ema: '${N:-10}'}]\n"


def accepted(text: str) -> Config:
    return parse(text, "config.yaml", environ={})


def refused(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "config.yaml", environ={})
    return str(caught.value).splitlines()


def in_schema(text: str) -> bool:
    validator: Any = jsonschema.Draft202012Validator(schema())
    return not list(validator.iter_errors(read(text, "c", str).value))


def test_transforms_are_declared_for_all_and_for_a_feature() -> None:
    events = accepted(DECLARED).events
    cpu, requests = events.features
    assert events.transforms == [Step("ema", 10.0)]
    assert cpu.transforms is None
    assert requests.transforms == [Step("rate"), Step("log1p"), Step("lags", 2)]
    assert (events.missing, cpu.missing, requests.missing) == ("ignore", None, "reject")


def test_they_survive_a_control_record() -> None:
    detection = Detection.of(accepted(DECLARED.replace("'${N:-10}'", "10") + "  cycles: [hour_of_day]\n"))
    payload = json.loads(json.dumps(detection.to_payload()))
    assert payload["events"]["features"][1]["transforms"] == ["rate", "log1p", {"lags": 2}]
    assert payload["events"]["transforms"] == [{"ema": 10.0}]
    assert Detection.from_payload(payload) == detection


def test_a_control_record_of_before_there_were_transforms_is_still_read() -> None:
    detection = Detection.of(accepted(START + "}]\n"))
    payload = detection.to_payload()
    for name in ("transforms", "cycles", "missing"):
        del payload["events"][name]
    for feature in payload["events"]["features"]:
        del feature["transforms"], feature["missing"]
    assert Detection.from_payload(payload) == detection


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("transforms: [logp]", "events.transforms[0]: found `logp`, expected one of log1p, difference, rate, {ema: "),
        ("transforms: [hour_of_day]", "events.transforms[0]: `hour_of_day` is of the event's time, not of a feature: "),
        ("transforms: [{lags: 0}]", "events.transforms[0]: found a mapping, expected `lags` with a whole number from "),
        (
            "transforms: [{lags: 2.5}]",
            "events.transforms[0]: found a mapping, expected `lags` with a whole number from ",
        ),
        ("transforms: [{ema: [1]}]", "events.transforms[0]: found a mapping, expected `ema` with a half-life "),
        ("transforms: [{ema: true}]", "events.transforms[0]: found a mapping, expected `ema` with a half-life "),
        ("transforms: [{ema: 1, lags: 1}]", "events.transforms[0]: found a mapping, expected one of log1p, "),
        ("transforms: [{lags: 2}, rate]", "events.transforms: `lags` must be the last transform"),
        ("transforms: rate", "events.transforms: found a plain value, expected a list"),
        ("cycles: [hour]", "events.cycles[0]: found `hour`, expected 'hour_of_day' or 'day_of_week'"),
        ("cycles: [hour_of_day, hour_of_day]", "events: events.cycles names a cycle twice"),
        ("missing: drop", "events.missing: found `drop`, expected 'ignore', 'previous', 'zero' or 'reject'"),
        ("missing: zero\n  transforms: [rate]", "events: feature 'cpu' has `rate` and `missing: zero`, but a counter "),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_what_is_expected(given: str, message: str) -> None:
    (line,) = refused(f"{START}}}]\n  {given}\n")
    assert message in line


def test_lags_and_cycles_count_towards_the_most_features() -> None:
    names = ", ".join(f"f{n}" for n in range(1000))
    text = f"source: {{kind: kafka, topics: [a]}}\nevents: {{features: [{names}], transforms: [{{lags: 1}}]}}\n"
    assert "with lags and cycles the model would have 2000 features; at most 1024" in refused(text)[0]


def test_editors_know_them() -> None:
    assert in_schema(DECLARED)
    assert not in_schema(DECLARED.replace("lags: 2", "lags: 0"))
    assert not in_schema(DECLARED.replace("log1p", "logp"))
