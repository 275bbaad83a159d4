from __future__ import annotations

import json

import pytest

from detector.config.detection import Detection, detection
from detector.config.load import parse
from detector.config.sections import Config
from detector.errors import StoreError

WHOLE = """\
source: {kind: kafka, topics: [a]}
events:
  format: avro
  registry: {url: "https://user:hunter2@registry/", password: hunter2}
  features: [cpu, {name: mem, path: m.mem, unit: B}]
  entity: tags.host
  timestamp: {path: t, unit: rfc3339}
  where: {name: cpu, n: 1, x: 1.0, b: true, text: "1"}
blocks: {tick: 100ms}
model: {centroids: 4, half_life: {time: 7d, events: null}}
alerting: {false_alarm_rate: 0.001}
"""


def whole(text: str = WHOLE) -> Config:
    return parse(text, "c", environ={})


def test_a_payload_survives_json_and_back() -> None:
    config = whole()
    payload = detection(config)
    again = Detection.from_payload(json.loads(json.dumps(payload)))
    assert again == Detection.of(config)
    assert again.to_payload() == payload
    assert [type(v) for v in again.events.where.values()] == [str, int, float, bool, str]


def test_a_payload_holds_nothing_of_the_registry() -> None:
    text = json.dumps(detection(whole()))
    assert "hunter2" not in text
    assert "registry" not in text


def test_where_events_come_from_and_go_to_is_no_part_of_it() -> None:
    moved = whole(WHOLE.replace("[a]", "[b]") + "http: {port: 1}\nstore: {path: elsewhere}\nsinks: []\n")
    assert detection(moved) == detection(whole())


def test_what_changes_detection_changes_the_payload() -> None:
    assert detection(whole(WHOLE.replace("centroids: 4", "centroids: 5"))) != detection(whole())


@pytest.mark.parametrize("broken", [{}, {"events": 1}])
def test_a_payload_that_is_none_is_refused_with_what_to_do(broken: dict[str, object]) -> None:
    with pytest.raises(StoreError, match="use the version that wrote it"):
        Detection.from_payload(broken)
