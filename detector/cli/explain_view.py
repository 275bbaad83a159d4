"""An event as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from detector.alerts.words import one_line, score_in_words, time_in_words
from detector.cli.incident_view import told_where
from detector.cli.moments import moment

if TYPE_CHECKING:
    from collections.abc import Iterator


def facts(place: str, event: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of a kept event, by name."""
    who = "" if event["entity"] is None else f" of {one_line(event['entity'])}"
    yield "event", f"{place}, row {event['row']}{who}, {moment(event['time'])}"
    if event["score"] is None:
        yield "score", "none: it was not scored"
    else:
        score = score_in_words(event["score"], at_least=event["at_least"])
        yield "score", f"{score}: {event['rate_words']}; threshold {event['threshold']:.1f}"
    yield "outcome", f"{event['outcome'].replace('_', ' ')}: {event['outcome_words']}"
    if event["since"] is not None:
        away = time_in_words(max(event["time"] - event["since"], 0.0))
        yield "away", f"from normal since {moment(event['since'])}, for {away} by then"
    yield "model", f"version {event['model_version']}, block {event['block']:,}; {event['learning_words']}"
    if event["incident"] is not None:
        yield "incident", f"{event['incident']} (`detector incidents show {event['incident'][:12]}`)"
        if event["notification"] is None:
            yield "told", "nothing is known of it here: it is not notified of yet, or was long ago"
        else:
            yield from told_where(event["notification"])
