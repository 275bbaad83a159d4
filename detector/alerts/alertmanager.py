"""Alerts to Prometheus' Alertmanager (API v2), which does its own grouping, repeats, silences and inhibition.

An alert that fires has an end ahead, so that it goes away by itself if the daemon does: the notifier sends what is open
again, each `resend_interval`. One that is resolved ends now.
"""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

import msgspec

from detector.alerts import alertmanager_format as format_
from detector.alerts import messages
from detector.alerts.http import Post
from detector.alerts.posting import PostingSink
from detector.alerts.webhook import judged, request_headers
from detector.config.webhook import header_value
from detector.types import Outcome, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from detector.config.sections import AlertmanagerSink as Settings
    from detector.types import Attempt, OutboxEntry

RESEND = "resend"
"""The kind of the entries by which the notifier has an open incident sent again."""
INTERVALS_AHEAD = 4
"""How many resend intervals an alert outlives its last message: three may be lost."""

MOST_TOGETHER = 100
"""Entries that go out in one POST, at most ..."""
_MOST_BYTES = 1 << 20
"""... and of how many bytes in all, but for one that is larger by itself."""

_JSON = msgspec.json.Encoder()


class AlertmanagerSink(PostingSink):
    """Posts the state of incidents to one Alertmanager."""

    def __init__(self, settings: Settings, place: str, now: Callable[[], float] = time.time) -> None:
        """Read secrets and certificates; ConfigError where one cannot be used. `place` is the section's YAML path."""
        headers = request_headers(settings.headers, place) | _authorization(settings, place)
        super().__init__(settings, place, url=settings.url.rstrip("/") + "/api/v2/alerts", headers=headers, now=now)
        self.resend_interval = settings.resend_interval
        self._posts = settings.concurrency
        self.concurrency = settings.concurrency * MOST_TOGETHER
        """Entries that are taken at once, as a POST takes many."""

    def deliver_together(self, entries: Sequence[tuple[OutboxEntry, int]]) -> list[Attempt]:
        """Post entries, many in one; where those are refused, each by itself, as one may be to blame for all."""
        pieces = list(_pieces([(entry, self._alerts(entry)) for entry, _ in entries]))
        attempts = self._post_pieces([piece for _, piece in pieces])
        told: list[Attempt] = []
        for (held, _), attempt in zip(pieces, attempts, strict=True):
            alone = attempt.outcome is Outcome.REFUSED and len(held) > 1
            told += self._post_pieces([self._alerts(entry) for entry in held]) if alone else [attempt] * len(held)
        return told

    def _post_pieces(self, pieces: Sequence[Sequence[bytes]]) -> list[Attempt]:
        """Post pieces in order; those behind one that failed for now are left, and count as failed with it."""
        posts = [Post(b"[" + b",".join(piece) + b"]", {}) for piece in pieces]
        attempts: list[Attempt] = []
        while len(attempts) < len(posts):
            attempts += self._target.post_all(posts[len(attempts) : len(attempts) + self._posts])
            failed = next((attempt for attempt in attempts if attempt.outcome is Outcome.RETRY), None)
            if failed is not None:
                attempts += [failed] * (len(posts) - len(attempts))
        return attempts

    def _alerts(self, entry: OutboxEntry) -> list[bytes]:
        """Return the alerts that an entry tells, each as JSON."""
        message = messages.read(entry)
        if message.fleet is not None:
            return [_JSON.encode(posted) for posted in self._fleet(message, message.fleet)]
        news = entry.kind != RESEND
        return [_JSON.encode(posted) for alert in message.alerts for posted in self._posted(alert, news=news)]

    def _posted(self, alert: messages.Document, *, news: bool) -> Iterator[dict[str, Any]]:
        """Yield the alert, and, where it is `news` that its severity has risen, the end of what it was before.

        With `collapse` the message that told of it may have been dropped for this one.
        """
        labels, annotations = format_.labels(alert), format_.notes(alert)
        start = self._start(alert)
        yield self._alert(labels, annotations, start, firing=messages.firing(alert))
        rose = alert["phase"] == "update" and alert["reason"] == "severity"
        if news and (rose or (self.collapse and alert["incident"]["sequence"] > 1)):
            for lower in list(Severity)[: list(Severity).index(alert["severity"])]:
                yield self._alert({**labels, "severity": lower.value}, annotations, start, firing=False)

    def _fleet(self, message: messages.Message, fleet: messages.Document) -> Iterator[dict[str, Any]]:
        """Yield the fleet, and the end of it in each other severity: its severity rises and falls with its members."""
        labels, annotations = format_.fleet_labels(fleet, message.severity), format_.fleet_notes(fleet, message.summary)
        yield self._alert(labels, annotations, fleet["since"], firing=message.firing)
        for other in Severity:
            if other.value != message.severity:
                yield self._alert({**labels, "severity": other.value}, annotations, fleet["since"], firing=False)

    def _alert(
        self, labels: dict[str, str], annotations: dict[str, str], start: str, *, firing: bool
    ) -> dict[str, Any]:
        ahead = INTERVALS_AHEAD * self.resend_interval if firing else 0.0
        end = format_.instant(self._now() + ahead)
        return {"labels": labels, "annotations": annotations, "startsAt": start, "endsAt": end}

    def _start(self, alert: messages.Document) -> str:
        """Return when an incident began, or now: event time may be ahead, and nothing may end before it starts."""
        incident, now = alert["incident"], self._now()
        begun: str = incident["start"] if incident["start_epoch"] < now else format_.instant(now)
        return begun


def _pieces(
    entries: Sequence[tuple[OutboxEntry, list[bytes]]],
) -> Iterator[tuple[list[OutboxEntry], list[bytes]]]:
    """Divide entries, with the alerts of each, into pieces of bounded size, in order."""
    held: list[OutboxEntry] = []
    piece: list[bytes] = []
    size = 0
    for entry, alerts in entries:
        more = sum(map(len, alerts))
        if held and (len(held) == MOST_TOGETHER or size + more > _MOST_BYTES):
            yield held, piece
            held, piece, size = [], [], 0
        held.append(entry)
        piece += alerts
        size += more
    if held:
        yield held, piece


def _authorization(settings: Settings, place: str) -> dict[str, str]:
    if settings.token is not None:
        return {"authorization": f"Bearer {judged(header_value, settings.token, f'{place}.token')}"}
    if settings.username is None or settings.password is None:
        return {}
    password = judged(str, settings.password, f"{place}.password")
    return {"authorization": f"Basic {base64.b64encode(f'{settings.username}:{password}'.encode()).decode()}"}
