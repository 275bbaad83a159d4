"""Sinks that post to one URL: what they have in common, whatever they post."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from detector.alerts.http import HttpTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from detector.config.sections import AlertmanagerSink, WebhookSink
    from detector.types import Attempt, OutboxEntry


class PostingSink(ABC):
    """Posts each entry once; what it holds is the subclass' matter. All calls come from one thread."""

    def __init__(
        self,
        settings: WebhookSink | AlertmanagerSink,
        place: str,
        *,
        url: str,
        headers: Mapping[str, str],
        now: Callable[[], float],
    ) -> None:
        """Read certificates; ConfigError where one, or the URL, cannot be used. `place` is the section's YAML path."""
        self._name = settings.name
        self.concurrency = settings.concurrency
        self.collapse = settings.collapse
        self._now = now
        self._target = HttpTarget(
            url,
            place,
            timeout=settings.timeout,
            tls=settings.tls,
            allow_networks=settings.allow_networks,
            headers=headers,
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

    @abstractmethod
    def deliver_together(self, entries: Sequence[tuple[OutboxEntry, int]]) -> list[Attempt]:
        """Post several, at most `concurrency` of them; returns an attempt for each."""

    def close(self) -> None:
        """Close the connections. Closing twice is harmless."""
        self._target.close()
