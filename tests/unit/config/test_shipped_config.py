"""The shipped config.yaml is valid, complete, and tells the defaults truly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, cast

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
import yaml
from pydantic import TypeAdapter

from detector.config.document import _Reader, read
from detector.config.load import load
from detector.config.schema import schema
from detector.config.sections import Config, KafkaSource, Section, WebhookSink
from detector.config.suggest import _sections

SHIPPED = Path(__file__).parents[3] / "config.yaml"
COMMENTED = re.compile(r"^(\s*)#(?=\S|  )", re.MULTILINE)
SECRET_OR_FILE = {"value", "file"}


def settings(node: yaml.Node, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of each key in the text; a key may come twice, as alternatives do."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from settings(item, path)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inside = f"{path}.{key.value}" if path else key.value
            yield inside, _Reader(str).value(value, ())
            yield from settings(value, inside)


def live() -> list[tuple[str, Any]]:
    return list(settings(composed(SHIPPED.read_text(encoding="utf-8"))))


def uncommented() -> list[tuple[str, Any]]:
    return list(settings(composed(COMMENTED.sub(r"\1", SHIPPED.read_text(encoding="utf-8")))))


def composed(text: str) -> yaml.Node:
    node = yaml.compose(text)
    assert node is not None
    return node


def known() -> list[tuple[str, type[Section]]]:
    return list(_sections(Config, ""))


def test_every_setting_is_mentioned_in_its_section() -> None:
    mentioned = {path for path, _ in uncommented()}
    missing = [
        f"{path}.{name}".removeprefix(".")
        for path, section in known()
        for name in section.by_key()
        if f"{path}.{name}".removeprefix(".") not in mentioned and name not in SECRET_OR_FILE
    ]
    assert missing == []


def test_nothing_is_mentioned_that_is_no_setting() -> None:
    names = {f"{path}.{name}".removeprefix(".") for path, section in known() for name in list(section.by_key())}
    free = ("events.labels.", "events.where.", "learning.entities.", "sinks.headers.")
    assert [path for path, _ in uncommented() if path not in names and not path.startswith(free)] == []


def test_a_setting_that_is_commented_out_shows_its_default() -> None:
    given = {path for path, _ in live()}
    shown = {path: value for path, value in uncommented() if path not in given and not isinstance(value, (dict, list))}
    wrong, compared = [], 0
    for path, section in known():
        for name, field in section.by_key().items():
            inside = f"{path}.{name}".removeprefix(".")
            if inside not in shown or name == "kind" or field.is_required() or field.default is None:
                continue
            adapter: TypeAdapter[Any] = TypeAdapter(cast("Any", Annotated[(field.annotation, None, *field.metadata)]))
            compared += 1
            # The names of sinks stand once for all kinds, and so does whether they are direct.
            if adapter.validate_python(shown[inside]) != field.default and inside not in {"sinks.name", "sinks.direct"}:
                wrong.append(inside)
    assert wrong == []
    assert compared > 30


def test_it_is_valid_as_it_is() -> None:
    config = load(SHIPPED, environ={})
    assert isinstance(config.source, KafkaSource)
    assert config.source.topics == ["metrics"]
    assert config.source.instance_id is None
    assert config.kafka.bootstrap_servers == ["127.0.0.1:9092"]
    assert config.http.port == 9108
    assert config.dead_letters.topic is None
    (webhook,) = [sink for sink in config.sinks if isinstance(sink, WebhookSink)]
    assert webhook.secrets == []


def test_it_takes_from_the_environment_what_differs_between_machines() -> None:
    config = load(
        SHIPPED,
        environ={
            "KAFKA_BOOTSTRAP_SERVERS": "a:1,b:2",
            "DETECTOR_TOPICS": "x, y",
            "DETECTOR_GROUP": "g",
            "DETECTOR_STORE": "/somewhere",
            "DETECTOR_HTTP_PORT": "0",
            "DETECTOR_WEBHOOK_URL": "https://receiver/hook",
            "DETECTOR_WEBHOOK_SECRET": "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3",
            "DETECTOR_DEAD_LETTER_TOPIC": "dead",
        },
    )
    assert isinstance(config.source, KafkaSource)
    assert (config.source.topics, config.source.group) == (["x", "y"], "g")
    assert config.kafka.bootstrap_servers == ["a:1", "b:2"]
    assert (config.store.path, config.http.port, config.dead_letters.topic) == (Path("/somewhere"), 0, "dead")
    (webhook,) = [sink for sink in config.sinks if isinstance(sink, WebhookSink)]
    assert webhook.url == "https://receiver/hook"
    assert [secret.reveal() for secret in webhook.secrets] == ["whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3"]


def test_the_schema_for_editors_accepts_it() -> None:
    validator: Any = jsonschema.Draft202012Validator(schema())
    value = read(SHIPPED.read_text(encoding="utf-8"), "config.yaml", str).value
    assert [error.message for error in validator.iter_errors(value)] == []


@pytest.mark.parametrize("kind", ["computer", "file"])
def test_the_alternative_sources_are_shown_whole(kind: str) -> None:
    assert ("source.kind", kind) in uncommented()
