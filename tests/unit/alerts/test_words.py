from __future__ import annotations

from dataclasses import replace

import pytest

from detector.alerts.words import rate_in_words, score_in_words, summary, time_in_words
from detector.types import Alert, FeatureShare, Phase, Reason, Severity
from tests.support.alerts import FINDING, absence, alert, ended


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


def test_the_summary_names_who_what_how_rare_and_for_how_long() -> None:
    what = "host-7: cpu 97.1 (expected 31.2), 83 % of the distance; 1 in 10,000"
    assert summary(alert(), {}) == f"{what}; away from normal for 90 s"
    for since in (None, alert().time, alert().time + 5.0):  # it has not drifted, just now, and by a row that came late
        assert summary(alert(finding=replace(FINDING, since=since)), {}) == what


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
    made = alert(finding=replace(FINDING, features=(FeatureShare("x", value, 5.0, 1.0),)))
    assert f": x {text} (expected 5), 100 % of" in summary(made, {})


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason.RECOVERED, "host-7: back to normal after 12 min; "),
        (Reason.NO_DATA, "host-7: resolved after 12 min, as it sends nothing any more; "),
        (Reason.FORGOTTEN, "host-7: resolved after 12 min, as what was learned of it is gone; "),
        (Reason.REPEAT, "host-7: still anomalous after 12 min; "),
    ],
)
def test_the_summary_of_what_lasted_tells_the_incident_as_a_whole(reason: Reason, words: str) -> None:
    whole = "31 anomalous events, mostly load (50 % of the distance), at worst at most 1 in 1,000,000"
    assert summary(ended(reason), {}) == words + whole.replace("at worst at most", "at worst")


def test_an_incident_that_becomes_critical_says_so_and_why() -> None:
    made = ended(Reason.SEVERITY, phase=Phase.UPDATE, severity=Severity.CRITICAL, finding=FINDING)
    assert summary(made, {}).startswith("host-7: critical after 12 min: cpu 97.1 (expected 31.2), 83 % of the distance")


def test_of_one_event_and_of_features_that_have_changed_no_more_is_told_than_is_known() -> None:
    incident = replace(alert().incident, duration=45.2, shares=(0.0, 0.0, 0.0))
    made = ended(Reason.RECOVERED, incident=incident)
    assert summary(made, {}) == "host-7: back to normal after 45 s; 1 anomalous event, at worst 1 in 10,000"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0 s"), (119.4, "119 s"), (150.0, "2.5 min"), (7199.0, "120 min"), (12_600.0, "3.5 h"), (2e5, "2.31 d"),
     (1e9, "11,574 d")],
)  # fmt: skip
def test_spans_of_time_are_told_to_three_digits(seconds: float, words: str) -> None:
    assert time_in_words(seconds) == words


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (absence("host-7"), "host-7: stopped sending 12 min ago"),
        (absence("host-7", reason=Reason.RETURNED), "host-7: sends again after 12 min"),
        (absence("host-7", reason=Reason.GIVEN_UP), "host-7: still silent after 12 min; it is waited for no longer"),
        (absence("a", "b\n", count=2), "metrics/3: 2 entities stopped sending: a, b\\n"),
        (absence(*"abcdefg", count=1200), "metrics/3: 1,200 entities stopped sending: a, b, c, d, e, ..."),
        (absence("a", count=3, reason=Reason.RETURNED), "metrics/3: 3 entities send again after 12 min"),
        (
            absence("a", "b", count=3, reason=Reason.GIVEN_UP),
            "metrics/3: 3 entities, still silent after 12 min, are waited for no longer",
        ),
    ],
)
def test_an_absence_is_told_in_words(made: Alert, words: str) -> None:
    assert summary(made, {}) == words
