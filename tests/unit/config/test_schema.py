from __future__ import annotations

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from detector.config.document import read
from detector.config.schema import schema

SMALLEST = "source: {kind: kafka, topics: [a]}\nevents: {features: [a]}\n"


def accepts(text: str) -> bool:
    validator: Any = jsonschema.Draft202012Validator(schema())
    return not list(validator.iter_errors(read(text, "c", str).value))


def test_it_is_a_schema_and_json() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(json.dumps(schema())))


def test_every_setting_has_a_description() -> None:
    definitions = schema()["$defs"]

    def described(setting: dict[str, Any]) -> bool:
        section = definitions.get(setting.get("$ref", "").rpartition("/")[2], {})
        return bool(setting.get("description") or section.get("description"))

    bare = [
        f"{section}.{name}"
        for section, body in definitions.items()
        for member in [body, *body.get("anyOf", [])]
        for name, setting in member.get("properties", {}).items()
        if not described(setting)
    ]
    assert bare == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log:\n",
        "log: {level: '${LEVEL:-info}'}",
        "http: {port: '${PORT:-9108}', enabled: '${ON}'}",
        "http: {port: 0}",
        "checkpoint: {interval: 10s, max_alert_delay: 0.02}",
        "kafka: {bootstrap_servers: 'a:1,b:2'}",
        "kafka: {bootstrap_servers: ['a:1'], sasl: {mechanism: PLAIN, username: u, password: p}}",
        "kafka: {sasl: {mechanism: PLAIN, username: u, password: {file: /p}}}",
        "sinks: [{kind: webhook, url: 'http://a', secrets: [s, {file: f}, null], headers: {A: b}}]",
        "sinks: [{kind: stdout}, {kind: kafka, topic: t}]",
        "model: {half_life: {events: null, time: 7d}}",
        "mute_times: [{name: n, when: [{times: [22:00-06:00], days_of_month: [1, '-2:-1'], months: 12}]}]",
        "http: {reload_token: {file: /run/secrets/token}}",
    ],
)
def test_what_the_daemon_accepts_is_accepted(text: str) -> None:
    assert accepts(SMALLEST + text)


@pytest.mark.parametrize(
    "text",
    [
        "lgo: {}",
        "log: {level: loud}",
        "http: {port: many}",
        "http: {port: 70000}",
        "sinks: [{url: 'http://a'}]",
        "sinks: [{kind: webhok, url: 'http://a'}]",
        "sinks: [{kind: kafka}]",
        "checkpoint: {interval: -1}",
    ],
)
def test_what_it_refuses_is_refused(text: str) -> None:
    assert not accepts(SMALLEST + text)


def test_source_and_events_are_required() -> None:
    assert not accepts("log: {}")
