from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest

from detector.decoding.rows import FLOAT32_OVERFLOW, line
from detector.decoding.values import matches, matches_text, name, number, number_text


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1, 1.0), (-2.5, -2.5), (Decimal("1.25"), 1.25), (10**400, math.inf), (math.nan, math.inf), (math.inf, math.inf)],
)
def test_numbers_are_floats_and_what_is_not_finite_is_infinite(value: object, expected: float) -> None:
    assert number(value) == expected


def test_null_is_missing() -> None:
    missing = number(None)
    assert missing is not None
    assert math.isnan(missing)


@pytest.mark.parametrize("value", [True, "1", [], {}, b"1"])
def test_anything_else_is_not_a_number(value: object) -> None:
    assert number(value) is None


@pytest.mark.parametrize(
    ("text", "expected"), [("1", 1.0), (" 2.5e1 ", 25.0), ("1e999", math.inf), ("-1e999", math.inf)]
)
def test_a_header_holds_a_number_as_json_writes_it(text: str, expected: float) -> None:
    assert number_text(text) == expected


@pytest.mark.parametrize("text", ["", "abc", "true", '"1"', "1,5", "0x10", "NaN", "[1]"])
def test_a_header_that_holds_none_is_not_a_number(text: str) -> None:
    assert number_text(text) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [("web-1", "web-1"), (7, "7"), (-7, "-7"), (2**70, str(2**70)), ("é" * 8, "é" * 8), ("", None), ("é" * 9, None)],
)
def test_names_are_text_or_integers_of_bounded_length(value: object, expected: str | None) -> None:
    assert name(value, 32 if isinstance(value, int) else 16) == expected


@pytest.mark.parametrize("value", [None, True, 1.5, [], pytest.param(10**5000, id="huge"), 10**16])
def test_anything_else_names_no_entity(value: object) -> None:
    assert name(value, 16) is None


@pytest.mark.parametrize(
    ("value", "expected", "equal"),
    [
        ("cpu", "cpu", True),
        ("CPU", "cpu", False),
        (1, 1.0, True),
        (1.0, 1, True),
        (True, 1, False),
        (1, True, False),
        (True, True, True),
        ("1", 1, False),
        (None, "", False),
        (10**400, 1, False),
    ],
)
def test_where_compares_by_type_and_value(value: object, *, expected: str | int | bool, equal: bool) -> None:
    assert matches(value, expected) is equal


@pytest.mark.parametrize(
    ("text", "expected", "equal"),
    [("cpu", "cpu", True), ("1", 1, True), ("1", "1", True), ("true", True, True), ("x", 1, False), (None, "", False)],
)
def test_where_reads_headers_as_text_or_as_json_scalars(
    text: str | None, *, expected: str | int | bool, equal: bool
) -> None:
    assert matches_text(text, expected) is equal


def test_the_bound_of_float32_is_where_the_cast_becomes_infinite() -> None:
    with np.errstate(over="ignore"):
        assert np.isinf(np.float32(FLOAT32_OVERFLOW))
    assert np.isfinite(np.float32(np.nextafter(FLOAT32_OVERFLOW, 0.0)))


def test_details_are_one_printable_line_of_at_most_200_characters() -> None:
    shown = line("a\nb\x1b[31m" + "x" * 500)
    assert shown.startswith("a?b?[31m")
    assert shown.isprintable()
    assert len(shown) == 200
