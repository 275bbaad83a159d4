from __future__ import annotations

import pytest

from detector.alerts.words import rate_in_words, score_in_words, summary
from detector.types import FeatureShare
from tests.support.alerts import alert


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (4.0, "1 in 10,000"),
        (2.9999, "1 in 1,000"),
        (4.37, "1 in 23,000"),
        (0.0, "1 in 1"),
        (0.4, "1 in 2.5"),
        (1.5, "1 in 32"),
        (12.0, "1 in 1,000,000,000,000"),
        (400.0, "1 in 10^400"),
    ],
)
def test_a_rate_is_told_to_two_digits(score: float, words: str) -> None:
    assert rate_in_words(score, at_least=False) == words


def test_past_the_reference_the_words_say_so() -> None:
    assert rate_in_words(6.0, at_least=True) == "at most 1 in 1,000,000"
    assert score_in_words(6.0, at_least=True) == "at least 6.0"
    assert score_in_words(4.04, at_least=False) == "4.0"


def test_the_summary_names_who_what_and_how_rare() -> None:
    assert summary(alert(), {}) == "host-7: cpu 97.1 (expected 31.2), 83 % of the distance; 1 in 10,000"


def test_the_summary_has_units_where_they_are_configured() -> None:
    assert "cpu 97.1 % (expected 31.2 %)," in summary(alert(), {"cpu": "%"})


def test_without_entity_the_partition_is_named() -> None:
    assert summary(alert(entity=None), {}).startswith("metrics/3: ")


def test_what_comes_from_outside_cannot_break_the_line() -> None:
    line = summary(alert(entity="a\nb\x1b[31m\u2028c"), {"cpu": "%\r"})
    assert line.isprintable()
    assert line.startswith("a\\nb\\x1b[31m\\u2028c: ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567.8, "1,234,567.8"),
        (999.96, "1,000"),
        (-0.0, "0"),
        (-12.345, "-12.35"),
        (0.00123, "0.00123"),
        (1e-9, "1.000e-09"),
        (3e15, "3.000e+15"),
    ],
)
def test_numbers_are_short_at_every_size(value: float, text: str) -> None:
    made = alert(features=(FeatureShare("x", value, 5.0, 1.0),))
    assert f": x {text} (expected 5), 100 % of" in summary(made, {})
