from __future__ import annotations

import pytest

from detector.decoding.paths import FieldPath, RecordPath, parse, parse_field
from detector.errors import ConfigError
from detector.types import PlainRecord


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cpu", FieldPath(("cpu",))),
        ("metrics.cpu", FieldPath(("metrics", "cpu"))),
        ('metrics."a.b"', FieldPath(("metrics", "a.b"))),
        ('"a.b".c', FieldPath(("a.b", "c"))),
        (r'"say \"hi\" \\ bye"', FieldPath(('say "hi" \\ bye',))),
        ('""', FieldPath(("",))),
        ('"$key"', FieldPath(("$key",))),
        ("größe in m", FieldPath(("größe in m",))),
        ("$key", RecordPath(None)),
        ("$headers.host", RecordPath("host")),
        ('$headers."x.y"', RecordPath("x.y")),
    ],
)
def test_a_path_is_read_as_written(text: str, expected: object) -> None:
    assert parse(text, "events.entity") == expected


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", '"a', 'a"b"', '"a"b', "$keys", "$headers", "$headers.a.b"]
)
def test_what_is_no_path_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^events\.entity: the path .* expected "):
        parse(text, "events.entity")


def test_a_field_path_cannot_lead_out_of_the_event() -> None:
    with pytest.raises(ConfigError, match=r"events\.events: .*inside the event"):
        parse_field("$key", "events.events")


def test_the_last_header_of_a_name_counts() -> None:
    record = PlainRecord(0, 0, b"k", b"", [("host", b"a"), ("other", b"x"), ("host", b"b")])
    assert RecordPath("host").text(record) == "b"
    assert RecordPath("none").text(record) is None
    assert RecordPath(None).text(record) == "k"


def test_bytes_that_are_not_text_are_none() -> None:
    assert RecordPath(None).text(PlainRecord(0, 0, b"\xff", b"")) is None
