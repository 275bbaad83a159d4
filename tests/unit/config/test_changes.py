from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from detector.config.changes import Changes, compare
from detector.config.detection import Detection
from detector.config.load import parse
from detector.config.sections import Config

SMALLEST = {"source": {"kind": "kafka", "topics": ["a"]}, "events": {"features": ["f"]}}
WEBHOOK = {"kind": "webhook", "name": "pager", "url": "http://a"}


def config(**sections: Any) -> Config:
    return Config.model_validate(SMALLEST | sections)


def changes(old: dict[str, Any], new: dict[str, Any]) -> Changes:
    return compare(config(**old), config(**new))


def test_nothing_differs_where_nothing_was_changed() -> None:
    assert changes({}, {"log": {"level": "info"}}) == ([], [], {})


@pytest.mark.parametrize(
    ("old", "new", "paths"),
    [
        ({}, {"log": {"level": "debug"}}, ["log.level"]),
        ({}, {"http": {"reload_token": "t"}}, ["http.reload_token"]),
        ({}, {"absence": {"idle_after": "1h"}}, ["absence.idle_after"]),
        ({}, {"dead_letters": {"max_bytes": "1MB"}}, ["dead_letters.max_bytes"]),
        ({}, {"outbox": {"max_alerts": 5}}, ["outbox.max_alerts"]),
        ({"sinks": [WEBHOOK]}, {"sinks": [WEBHOOK | {"url": "http://b"}]}, ["sinks.pager.url"]),
        ({"sinks": [WEBHOOK]}, {"sinks": [WEBHOOK | {"secrets": ["whsec_" + "A" * 44]}]}, ["sinks.pager.secrets"]),
        ({"sinks": [WEBHOOK]}, {"sinks": [{"kind": "stdout"}]}, ["sinks.pager", "sinks.stdout"]),
        ({"sinks": [WEBHOOK]}, {"sinks": [{"kind": "stdout", "name": "pager"}]}, ["sinks.pager"]),
        ({"sinks": [WEBHOOK, {"kind": "stdout"}]}, {"sinks": [{"kind": "stdout"}, WEBHOOK]}, ["sinks"]),
    ],
)  # fmt: skip
def test_what_may_change_at_once_is_told_by_its_path(
    old: dict[str, Any], new: dict[str, Any], paths: list[str]
) -> None:
    assert changes(old, new) == (paths, [], {})


@pytest.mark.parametrize(
    ("new", "paths"),
    [
        ({"alerting": {"budget": "1/day"}}, ["alerting.budget.incidents"]),
        ({"incidents": {"resolve_after": "1m"}}, ["incidents.resolve_after"]),
        ({"events": {"features": ["f", "g"]}}, ["events.features.g"]),
        ({"learning": {"entities": {"db-*": "freeze"}}}, ["learning.entities"]),
    ],
)
def test_what_changes_detection_changes_at_a_boundary(new: dict[str, Any], paths: list[str]) -> None:
    assert changes({}, new) == ([], paths, {})


def test_a_preset_changes_the_model_that_it_stands_for() -> None:
    found = changes({}, {"preset": "metrics"})
    assert found.at_once == ["preset"]
    assert "model.mass" in found.at_boundary
    assert found.not_live == {}


@pytest.mark.parametrize(
    ("new", "path"),
    [
        ({"source": {"kind": "computer"}}, "source"),
        ({"source": {"kind": "kafka", "topics": ["b"]}}, "source.topics"),
        ({"kafka": {"bootstrap_servers": "b:1"}}, "kafka.bootstrap_servers"),
        ({"store": {"path": "/elsewhere"}}, "store.path"),
        ({"http": {"port": 1}}, "http.port"),
        ({"refit": {"interval": "1d"}}, "refit.interval"),
        ({"checkpoint": {"interval": "1m"}}, "checkpoint.interval"),
        ({"dead_letters": {"topic": "letters"}}, "dead_letters.topic"),
        ({"events": {"features": ["f"], "registry": {"url": "http://a"}}}, "events.registry"),
    ],
)
def test_what_cannot_change_is_told_with_why(new: dict[str, Any], path: str) -> None:
    found = changes({}, new)
    assert (found.at_once, found.at_boundary, list(found.not_live)) == ([], [], [path])
    assert found.not_live[path]


def test_every_setting_has_its_time_and_what_changes_detection_is_all_there_is_at_a_boundary() -> None:
    """Each section in turn is given another value somewhere: it has a time, and the payload agrees."""
    for name, other in _others():
        old, new = config(), parse(_document(name, other), "c", environ={})
        found = compare(old, new)
        assert found != Changes([], [], {}), name
        changed = Detection.of(old).to_payload() != Detection.of(new).to_payload()
        assert bool(found.at_boundary) == changed, name


def _document(name: str, other: str) -> str:
    texts = {"source": "{kind: kafka, topics: [a]}", "events": "{features: [f]}"} | {name: other}
    return "\n".join(f"{section}: {text}" for section, text in texts.items())


def _others() -> Iterator[tuple[str, str]]:
    others = {
        "preset": "metrics",
        "source": "{kind: computer}",
        "kafka": "{client_id: other}",
        "events": "{features: [g]}",
        "blocks": "{rows: 64}",
        "entities": "{limit: 5}",
        "model": "{centroids: 4}",
        "learning": "{default: freeze}",
        "alerting": "{critical_decades: 1}",
        "incidents": "{resolve_below: 1}",
        "absence": "{enabled: false}",
        "refit": "{algorithm: kmeans}",
        "sinks": "[]",
        "routes": "[{sinks: stdout}]",
        "notification": "{group_wait: 1s}",
        "outbox": "{max_alerts: 5}",
        "mute_times": "[{name: nights, when: [{times: 22:00-06:00}]}]",
        "dead_letters": "{keep: 5}",
        "checkpoint": "{interval: 1m}",
        "store": "{path: elsewhere}",
        "http": "{port: 1}",
        "log": "{format: json}",
    }
    missing = Config.model_fields.keys() - others.keys()
    assert not missing, f"{missing}: say when it may change (config/changes.py), and give another value here"
    yield from others.items()
