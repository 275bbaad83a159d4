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
from detector.alerts.http import HttpTarget, Post
from detector.alerts.webhook import judged, request_headers
from detector.config.webhook import header_value
from detector.types import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from detector.config.sections import AlertmanagerSink as Settings
    from detector.types import Attempt, OutboxEntry

RESEND = "resend"
"""The kind of the entries by which the notifier has an open incident sent again."""
INTERVALS_AHEAD = 4
"""How many resend intervals an alert outlives its last message: three may be lost."""

_JSON = msgspec.json.Encoder()


class AlertmanagerSink:
    """Posts the state of incidents to one Alertmanager. All calls come from one thread."""

    def __init__(self, settings: Settings, place: str, now: Callable[[], float] = time.time) -> None:
        """Read secrets and certificates; ConfigError where one cannot be used. `place` is the section's YAML path."""
        self._name = settings.name
        self.concurrency = settings.concurrency
        self.collapse = settings.collapse
        self.resend_interval = settings.resend_interval
        self._now = now
        self._target = HttpTarget(
            settings.url.rstrip("/") + "/api/v2/alerts",
            place,
            timeout=settings.timeout,
            tls=settings.tls,
            allow_networks=settings.allow_networks,
            headers=request_headers(settings.headers, place) | _authorization(settings, place),
            now=now,
            connections=settings.concurrency,
        )

    @property
    def name(self) -> str:
        """The sink's name in metrics and logs."""
        return self._name

    def deliver(self, entry: OutboxEntry, attempt: int) -> Attempt:
        """Post once, within the timeout, whatever the receiver does."""
        return self.deliver_together([(entry, attempt)])[0]

    def deliver_together(self, entries: Sequence[tuple[OutboxEntry, int]]) -> list[Attempt]:
        """Post several at the same time; returns an attempt for each."""
        return self._target.post_all([Post(self._body(entry), {}) for entry, _ in entries])

    def close(self) -> None:
        """Close the connections. Closing twice is harmless."""
        self._target.close()

    def _body(self, entry: OutboxEntry) -> bytes:
        message = messages.read(entry)
        if message.fleet is not None:
            return _JSON.encode(list(self._fleet(message, message.fleet)))
        news = entry.kind != RESEND
        return _JSON.encode([posted for alert in message.alerts for posted in self._posted(alert, news=news)])

    def _posted(self, alert: messages.Document, *, news: bool) -> Iterator[dict[str, Any]]:
        """Yield the alert, and, where it is `news` that its severity has risen, the end of what it was before."""
        labels, annotations = format_.labels(alert), format_.notes(alert)
        start = self._start(alert)
        yield self._alert(labels, annotations, start, firing=messages.firing(alert))
        if news and alert["phase"] == "update" and alert["reason"] == "severity":
            for lower in list(Severity)[: list(Severity).index(alert["severity"])]:
                yield self._alert({**labels, "severity": lower.value}, annotations, start, firing=False)

    def _fleet(self, message: messages.Message, fleet: messages.Document) -> Iterator[dict[str, Any]]:
        """Yield the fleet, and the end of it in each other severity: its severity rises and falls with its members."""
        labels, annotations = format_.fleet_labels(message), format_.fleet_notes(message)
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


def _authorization(settings: Settings, place: str) -> dict[str, str]:
    if settings.token is not None:
        return {"authorization": f"Bearer {judged(header_value, settings.token, f'{place}.token')}"}
    if settings.username is None or settings.password is None:
        return {}
    password = judged(str, settings.password, f"{place}.password")
    return {"authorization": f"Basic {base64.b64encode(f'{settings.username}:{password}'.encode()).decode()}"}
