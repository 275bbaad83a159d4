from __future__ import annotations

from typing import Any

import pytest

from detector.alerts.build import build, build_letters
from detector.config.sections import Config
from detector.errors import ConfigError
from detector.protocols import Sink


def built(**settings: Any) -> list[Sink]:
    config = {"source": {"kind": "computer"}, "events": {"features": ["cpu"]}, **settings}
    sinks = build(Config.model_validate(config))
    for sink in sinks:
        sink.close()
    return sinks


def test_the_sinks_are_those_of_the_configuration_in_order() -> None:
    sinks = built(
        sinks=[
            {"kind": "webhook", "url": "http://127.0.0.1:9/"},
            {"kind": "kafka", "name": "topic", "topic": "alerts"},
            {"kind": "stdout"},
        ]
    )
    assert [(type(sink).__name__, sink.name) for sink in sinks] == [
        ("WebhookSink", "webhook"),
        ("KafkaSink", "topic"),
        ("StdoutSink", "stdout"),
    ]


def test_dead_letters_have_a_sink_where_they_have_a_topic() -> None:
    config = {"source": {"kind": "kafka", "topics": ["a"]}, "events": {"features": ["x"]}}
    assert build_letters(Config.model_validate(config)) == []
    (sink,) = build_letters(Config.model_validate(config | {"dead_letters": {"topic": "rejects"}}))
    assert sink.name == "dead_letters"
    sink.close()


def test_an_error_names_the_sink_by_its_place() -> None:
    lost = {"kind": "webhook", "url": "http://127.0.0.1:9/", "secrets": [{"file": "/no/such/file"}]}
    with pytest.raises(ConfigError, match=r"^sinks\[1\]\.secrets\[0\]\.file: /no/such/file"):
        built(sinks=[{"kind": "stdout"}, lost])
