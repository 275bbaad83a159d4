from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from detector.alerts.rendering import rendering
from detector.alerts.sample import sample
from detector.config import sections
from detector.errors import ConfigError
from tests.support.alerts import absence, alert, entry_of

OPENED = entry_of("webhook", alert())


def made(entry: Any = OPENED, **settings: Any) -> tuple[bytes, list[str]]:
    failed: list[str] = []
    given = sections.WebhookSink.model_validate({"url": "https://example.org", **settings})
    return rendering(given, "sinks[0]", failed.append)(entry), failed


def test_without_a_word_it_is_the_detectors_own_body() -> None:
    assert made() == (OPENED.body, [])


def test_a_template_names_what_the_message_holds(tmp_path: Path) -> None:
    text = (
        '{"text": {{ (severity ~ ": " ~ summary)|tojson }}, "who": {{ alerts[0].entity|tojson }}, "is": "{{ status }}"}'
    )
    (tmp_path / "template").write_text(text)
    for settings in ({"template": text}, {"template_file": tmp_path / "template"}):
        body, failed = made(**settings)
        told = json.loads(body)
        assert told["text"] == "warning: " + json.loads(OPENED.body)["summary"]
        assert (told["who"], told["is"], failed) == ("host-7", "firing", [])


def test_where_a_template_fails_the_built_in_body_goes_out_and_it_is_counted() -> None:
    gone = entry_of("webhook", absence("host-1"))
    text = "{% if alerts[0].kind == 'absence' %}{{ nothing }}{% endif %}fine"
    assert made(template=text) == (b"fine", [])
    assert made(gone, template=text) == (gone.body, ["webhook"])
    body, failed = made(gone, template=text, body="alertmanager")
    assert (json.loads(body)["version"], failed) == ("4", ["webhook"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ summary", "line 1"),
        ("{{ sumary }}", "'sumary' is undefined"),
        # The sample of an incident that is over has no row of its own.
        ("{{ alerts[0].score + 1 }}", "TypeError"),
    ],
    ids=["syntax", "name", "resolved"],
)
def test_a_template_is_tried_when_it_is_loaded(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=r"^sinks\[0\]\.template cannot be used: .*" + told):
        made(template=text)


def test_a_file_that_is_not_there_is_told_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"^sinks\[0\]\.template_file: /no/such/file cannot be read"):
        made(template_file="/no/such/file")


def test_a_sample_is_marked_as_one() -> None:
    document = json.loads(sample("webhook", 1_800_000_000.0).body)
    assert document["test"] is True
    assert document["summary"].startswith("TEST, nothing is wrong: detector-test: cpu 97 % (expected 31 %)")
    assert (document["entity"], document["topic"]) == ("detector-test", "detector-test")
