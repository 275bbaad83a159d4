"""What became of a kept event, in a word for programs and in a line for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detector.alerts.words import rate_in_words, score_in_words
from detector.models.became import Became
from detector.models.kept import Fate

if TYPE_CHECKING:
    from detector.models.kept import Event

_FATES = {
    Fate.OPEN: "its block was not complete yet when this was written",
    Fate.LEARNED: "learned: the model counts such events as something that happens",
    Fate.QUARANTINED: "kept in quarantine, beyond the learning gate: learned when it turns out dense and lasting",
    Fate.FROZEN: "not learned: its entity does not learn (`detector learning`)",
    Fate.BARRED: "not learned: feedback says that such events are a fault",
    Fate.UNUSABLE: "not learned: fewer than half of its features were there",
}


def outcome(event: Event) -> tuple[str, str]:
    """Return what came of an event: a word of a bounded set, and why."""
    told = {
        Became.OPENED: ("opened", "it opened an incident"),
        Became.UPDATED: ("updated", "its incident was told again by it: it grew worse, or had lasted"),
        Became.RESOLVED: ("resolved", "with it its incident was over"),
        Became.WITHIN_INCIDENT: ("within_incident", "it came within an open incident, which had been told"),
        Became.BELOW_OPEN_AFTER: ("below_open_after", "anomalous, but too few of its entity's last events were"),
    }
    if event.became in told:
        return told[event.became]
    if event.spared == "filters":
        return "filtered", f"by itself {_score(event.alone)}, but filters leave out what is unusual of it"
    if event.spared is not None:
        why = f"by itself {_score(event.alone)}, but like what feedback {event.spared} says is normal"
        return "approved", why
    if not event.warm:
        return "warming_up", "its entity had not been seen often enough to be judged (model.warm_up)"
    if not event.ready:
        return "warming_up", "its partition had not seen enough events to judge by (alerting.warm_up)"
    return "below_threshold", f"its score is under the threshold, {event.threshold:.1f}"


def fate(event: Event) -> tuple[str, str]:
    """Return what the model made of an event: a word of a bounded set, and what it means."""
    return event.fate.name.lower(), _FATES[event.fate]


def _score(score: float | None) -> str:
    if score is None:
        return "it would not be scored"
    return f"its score would be {score_in_words(score, at_least=False)} ({rate_in_words(score, at_least=False)})"
