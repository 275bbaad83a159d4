"""An alert in words: the rate as people say it, and the one line that a phone shows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, assert_never

from detector.types import Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detector.types import Alert


_NAMED = 5
"""Entities that a line names."""


def rate_in_words(score: float, *, at_least: bool) -> str:
    """Return "1 in 10,000" for 4.0; with `at_least`, as far as the reference supports: "at most 1 in 1,000,000"."""
    return f"{'at most ' if at_least else ''}1 in {_one_in(score)}"


def score_in_words(score: float, *, at_least: bool) -> str:
    """Return "4.0", or "at least 6.0" where the reference supports no more."""
    return f"{'at least ' if at_least else ''}{score:.1f}"


def summary(alert: Alert, units: Mapping[str, str]) -> str:
    """Return one line: who, what happened, the feature that differs most, its part, how rare it is, for how long."""
    who = one_line(alert.entity if alert.entity is not None else str(alert.partition))
    return f"{who}: {_absence(alert) if alert.kind == 'absence' else _what(alert, units)}"


def _what(alert: Alert, units: Mapping[str, str]) -> str:
    lasted = time_in_words(alert.incident.duration)
    match alert.reason:
        case None:
            told = _row(alert, units)
        case Reason.SEVERITY:
            told = f"{alert.severity} after {lasted}: {_row(alert, units)}"
        case Reason.REPEAT:
            told = f"still anomalous after {lasted}; {_whole(alert)}"
        case Reason.RECOVERED:
            told = f"back to normal after {lasted}; {_whole(alert)}"
        case Reason.NO_DATA:
            told = f"resolved after {lasted}, as it sends nothing any more; {_whole(alert)}"
        case Reason.FORGOTTEN:
            told = f"resolved after {lasted}, as what was learned of it is gone; {_whole(alert)}"
        case Reason.RETURNED | Reason.GIVEN_UP:
            told = _absence(alert)
        case _:
            assert_never(alert.reason)
    return told


def _absence(alert: Alert) -> str:
    """Tell of one entity that has stopped, or of many of a partition."""
    lasted, many = time_in_words(alert.incident.duration), alert.entity is None
    subject = f"{alert.incident.count:,} entities" if many else "it"
    match alert.reason:
        case None:
            who = ", ".join(one_line(name) for name in alert.absent[:_NAMED])
            more = ", ..." if alert.incident.count > _NAMED else ""
            return f"{subject} stopped sending: {who}{more}" if many else f"stopped sending {lasted} ago"
        case Reason.RETURNED:
            return f"{subject + ' send' if many else 'sends'} again after {lasted}"
        case _:
            if many:
                return f"{subject}, still silent after {lasted}, are waited for no longer"
            return f"still silent after {lasted}; it is waited for no longer"


def _row(alert: Alert, units: Mapping[str, str]) -> str:
    """Tell the row at hand, and how confident that is where something was missing."""
    assert alert.finding is not None, "an incident opens, and rises, with a row of its own"
    top = max(alert.finding.features, key=lambda feature: feature.share)
    rate = rate_in_words(alert.finding.score, at_least=alert.finding.at_least)
    finding = alert.finding
    seen = observed_in_words(top.name, top.observed, top.expected, units.get(top.name, ""))
    what = f"{seen}, {100 * top.share:.0f} % of the distance; {rate}"
    away = 0.0 if finding.since is None else alert.time - finding.since
    lasting = f"; away from normal for {time_in_words(away)}" if away >= 1.0 else ""
    sure = f"; confidence {min(finding.confidence, 0.99):.2f}" if finding.confidence < 1.0 else ""
    return what + lasting + sure


def _whole(alert: Alert) -> str:
    """Tell the incident as a whole. "At worst" leaves open whether it was rarer still."""
    incident = alert.incident
    events = f"{incident.count:,} anomalous event{'' if incident.count == 1 else 's'}"
    worst = f"at worst {rate_in_words(incident.peak, at_least=False)}"
    share, name = max(zip(incident.shares, alert.names, strict=True), default=(0.0, ""))
    mostly = f", mostly {one_line(name)} ({100 * share:.0f} % of the distance)" if share > 0 else ""
    return f"{events}{mostly}, {worst}"


def time_in_words(seconds: float) -> str:
    """Return a span of time to two or three digits: "45 s", "12 min", "3.5 h", "2 d"."""
    for size, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}" if seconds < 100 * size else f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s"


def one_line(text: str) -> str:
    """Return the text with everything that is no printable character escaped: entities come from outside."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def observed_in_words(name: str, observed: float | None, expected: float, unit: str) -> str:
    """Return "cpu 97.1 % (expected 31.2 %)"."""
    tail = f" {one_line(unit)}" if unit else ""
    seen = "missing" if observed is None else number(observed) + tail
    return f"{one_line(name)} {seen} (expected {number(expected)}{tail})"


def number(value: float) -> str:
    """Return four significant digits; plain for everyday sizes, with an exponent beyond."""
    size = abs(value)
    if size and not 1e-3 <= size < 1e12:
        return f"{value:.3e}"
    digits = 1 if size >= 1000 else 3 - math.floor(math.log10(size)) if size else 0
    text = f"{value + 0.0:,.{digits}f}"  # + 0.0: no "-0"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _one_in(score: float) -> str:
    """Return 10 to the score, rounded to two digits: more would claim what no reference can support."""
    if score > 300:  # beyond what a float holds; rows far out get there
        return f"10^{score:.0f}"
    count = 10.0**score
    size = math.floor(math.log10(count) + 1e-9)
    rounded = round(count, 1 - size)
    return f"{rounded:,.0f}" if size >= 1 else f"{rounded:.1f}".removesuffix(".0")
