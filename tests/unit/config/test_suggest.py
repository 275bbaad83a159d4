from __future__ import annotations

import pytest

from detector.config.sections import Alerting, Feature, Secret, Section, WebhookSink
from detector.config.suggest import elsewhere, nearest, section_at

VALUE = {
    "alerting": {},
    "events": {"features": [{"name": "a"}], "where": {"x": {}}},
    "sinks": [{"kind": "webhook", "headers": {"X": {}}, "secrets": [{}]}, {"kind": "none"}],
}


@pytest.mark.parametrize(
    ("given", "meant"), [("promote_aftr", "promote_after"), ("Promote-After", "promote_after"), ("reference", None)]
)
def test_the_nearest_name_is_found(given: str, meant: str | None) -> None:
    assert nearest(given, ["promote_after", "warm_up"]) == meant


def test_a_key_is_found_wherever_it_is_known() -> None:
    assert elsewhere("warm_up") == ["alerting", "model"]
    assert elsewhere("check_hostname") == ["events.registry.tls", "kafka.tls", "sinks.tls"]
    assert elsewhere("blocks") == [""]
    assert elsewhere("nowhere") == []


@pytest.mark.parametrize(
    ("path", "section"),
    [
        (("alerting",), Alerting),
        (("events", "features", 0), Feature),
        (("events", "where", "x"), None),
        (("sinks", 0), WebhookSink),
        (("sinks", 0, "headers", "X"), Secret),
        (("sinks", 0, "secrets", 0), Secret),
        (("sinks", 1), None),
    ],
)
def test_the_section_at_a_path_is_known(path: tuple[str | int, ...], section: type[Section] | None) -> None:
    assert section_at(path, VALUE) is section
