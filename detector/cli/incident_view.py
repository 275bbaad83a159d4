"""An incident from the file of notification: as JSON values, and as people read it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from detector.alerts.words import number, one_line, score_in_words, time_in_words
from detector.cli.bars import Line
from detector.cli.moments import moment

if TYPE_CHECKING:
    from detector.store.told import Told


_SHOWN = 8
"""Features of a finding that a line names."""


def document(told: Told) -> dict[str, Any]:
    """Return an incident as JSON values: its last alert, and what became of it."""
    incident, verdict = told.incident, told.verdict
    return {
        "id": incident.id,
        "phase": incident.phase.value,
        "severity": incident.severity.value,
        "partition": str(incident.partition),
        "entity": incident.entity,
        "start": incident.start,
        "direct_sinks": list(incident.sinks),
        "sinks": [fate._asdict() for fate in told.fates],
        "verdict": None if verdict is None else verdict._asdict(),
        "alert": json.loads(incident.body),
    }


def head(told: dict[str, Any]) -> str:
    """Return an incident in one line."""
    alert = told["alert"]
    state = "over" if told["phase"] == "resolve" else "open"
    return f"{told['id'][:12]}  {state}  {told['severity']:<8}  {moment(told['start'])}  {one_line(alert['summary'])}"


def finding(told: dict[str, Any]) -> str:
    """Return in one line what a refit found anomalous in hindsight."""
    who = one_line(told["entity"] if told["entity"] is not None else told["partition"])
    values = [
        f"{one_line(name)} {'missing' if value is None else number(value)}" for name, value in told["values"].items()
    ]
    more = ", ..." if len(values) > _SHOWN else ""
    score = score_in_words(told["score"], at_least=False)
    return f"info  {moment(told['time'])}  {who}: score {score}; {', '.join(values[:_SHOWN])}{more}"


def facts(told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of an incident, by name."""
    incident, alert = told["alert"]["incident"], told["alert"]
    state = "over" if told["phase"] == "resolve" else "open"
    reason = f", {alert['reason']}" if alert["reason"] else ""
    yield "incident", f"{told['id']}, {state}{reason}, {told['severity']}"
    yield "of", f"{one_line(told['entity']) if told['entity'] is not None else 'the partition'} in {told['partition']}"
    if labels := {name: value for name, value in alert.get("labels", {}).items() if value}:
        yield "labels", ", ".join(f"{name}={one_line(value)}" for name, value in labels.items())
    yield "since", f"{moment(told['start'])} (event time), for {time_in_words(incident['duration'])} as last told"
    if alert["kind"] == "anomaly":
        peak = score_in_words(incident["peak_score"], at_least=incident["peak_at_least"])
        events = f"{incident['count']:,} anomalous event{'' if incident['count'] == 1 else 's'}"
        yield "peak", f"score {peak}: {incident['peak_rate_words']}; {events}"
    else:
        yield "absent", ", ".join(one_line(name) for name in alert["absent"]) or "not known"
    if alert["since_epoch"] is not None:
        yield "away from normal", f"since {moment(alert['since_epoch'])}"
    yield from told_where(told)


def told_where(told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield who was told of an incident, who was not and why, and what operators said of it."""
    for sink in told["direct_sinks"]:
        yield "told", f"{sink}, each message at once"
    for fate in told["sinks"]:
        if fate["sink"] not in told["direct_sinks"]:
            how = "in message" if fate["what"] == "told" else "by"
            by = f" {how} {fate['by']}" if fate["by"] else ""
            yield fate["what"], f"{fate['sink'] or 'no route is for it'}{by}, {moment(fate['at'])}"
    if not told["direct_sinks"] and not told["sinks"]:
        yield "told", "nobody yet"
    if (verdict := told["verdict"]) is not None:
        why = f": {verdict['comment']}" if verdict["comment"] else ""
        yield "feedback", f"{verdict['verdict']}, by {verdict['author']}, {moment(verdict['at'])}{why}"


def lines(alert: dict[str, Any]) -> list[Line]:
    """Return the features of an alert as they are shown: over the incident where it is known, else of its last row."""
    told = []
    for feature in alert["features"]:
        mean, share = feature.get("incident_mean"), feature["incident_share"]
        observed = feature["observed"] if mean is None else mean
        shown = feature["share"] if share is None else share
        told.append(Line(feature["name"], feature.get("unit", ""), observed, feature["expected"], shown))
    return told
