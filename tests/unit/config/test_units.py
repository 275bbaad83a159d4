from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from detector.config.units import Bytes, Count, HttpUrl, Names, Seconds, Servers, instant


def read(kind: Any, given: object) -> Any:
    return TypeAdapter(kind).validate_python(given)


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        (Seconds, "20ms", 0.02),
        (Seconds, "1.5 h", 5400.0),
        (Seconds, "7d", 604800.0),
        (Seconds, "3", 3.0),
        (Seconds, 0.5, 0.5),
        (Bytes, "4MiB", 4 << 20),
        (Bytes, "64MB", 64_000_000),
        (Bytes, "5", 5),
        (Count, "7", 7),
        (Names, "a, b,,c", ["a", "b", "c"]),
        (Names, ["a,b"], ["a,b"]),
        (HttpUrl, "http://[::1]:8080/x?y", "http://[::1]:8080/x?y"),
        (
            Servers,
            "a-1.b:1, c, 10.0.0.1:65535, [::1]:9092, [fe80::1%eth0]",
            ["a-1.b:1", "c", "10.0.0.1:65535", "[::1]:9092", "[fe80::1%eth0]"],
        ),
    ],
)
def test_values_are_read_as_people_write_them(kind: Any, given: object, value: object) -> None:
    assert read(kind, given) == value


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Seconds, "0s"),
        (Seconds, "-1s"),
        (Seconds, "5 parsecs"),
        (Seconds, True),
        (Seconds, float("inf")),
        (Bytes, "1e9"),
        (Bytes, "0.2"),
        (Bytes, False),
        (Count, 0),
        (Count, True),
        (Names, ","),
        (Names, []),
        (Names, [""]),
        (HttpUrl, "ftp://a"),
        (HttpUrl, "http://"),
        (HttpUrl, "//a/b"),
        (HttpUrl, "http://a:99999/"),
        (HttpUrl, "http://a:0/"),
        *(
            (Servers, wrong)
            for wrong in ("a:b", "a:", ":1", "a:0", "a:65536", "::1:9092", "[a]:1", "http://a:1", "a b:1")
        ),
    ],
)
def test_what_is_none_is_refused(kind: Any, given: object) -> None:
    with pytest.raises(ValidationError):
        read(kind, given)


def test_an_instant_is_epoch_seconds_with_its_offset_counted() -> None:
    assert instant("1970-01-01T01:00:00+01:00") == 0
    assert instant("1970-01-01T00:00:01.5Z") == 1.5


@pytest.mark.parametrize("text", ["", "now", "1970-01-01", "1970-01-01T00:00:00"])
def test_an_instant_without_an_offset_from_utc_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time such as"):
        instant(text)
