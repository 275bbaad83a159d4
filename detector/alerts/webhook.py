"""Messages by HTTP POST, signed as Standard Webhooks 1.0.0 has it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from standardwebhooks import Webhook

from detector.alerts import bodies
from detector.alerts.http import Post
from detector.alerts.posting import PostingSink
from detector.config.tls import reveal
from detector.config.webhook import header_value, signing_key
from detector.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from detector.alerts.rendering import Rendering
    from detector.config.sections import Secret
    from detector.config.sections import WebhookSink as Settings
    from detector.types import Attempt, OutboxEntry

T = TypeVar("T")


class WebhookSink(PostingSink):
    """Posts each message to one URL."""

    def __init__(
        self,
        settings: Settings,
        place: str,
        rendering: Rendering = bodies.detector,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Read secrets and certificates; ConfigError where one cannot be used. `place` is the section's YAML path."""
        signers = [
            Webhook(judged(signing_key, secret, f"{place}.secrets[{i}]")) for i, secret in enumerate(settings.secrets)
        ]
        super().__init__(settings, place, url=settings.url, headers=request_headers(settings.headers, place), now=now)
        self._rendering = rendering
        self._signers = signers

    def deliver_together(self, entries: Sequence[tuple[OutboxEntry, int]]) -> list[Attempt]:
        """Post several at the same time; returns an attempt for each."""
        return self._target.post_all([self._post(entry) for entry, _ in entries])

    def _post(self, entry: OutboxEntry) -> Post:
        body = self._rendering(entry)
        moment = datetime.fromtimestamp(int(self._now()), UTC)
        headers = {"webhook-id": entry.id, "webhook-timestamp": str(int(moment.timestamp()))}
        if self._signers:
            signatures = [signer.sign(entry.id, moment, body.decode()) for signer in self._signers]
            headers["webhook-signature"] = " ".join(signatures)
        return Post(body, headers)


def request_headers(given: dict[str, Secret], place: str) -> dict[str, str]:
    """Return configured request headers with their values, names in lower case; ConfigError where one is no such."""
    return {name.lower(): judged(header_value, value, f"{place}.headers.{name}") for name, value in given.items()}


def judged(judge: Callable[[str], T], secret: Secret, place: str) -> T:
    """Return what `judge` makes of a secret: those that stand in files have not been judged yet."""
    try:
        return judge(reveal(secret, place))
    except ValueError as error:
        message = f"{place}: {error}"
        raise ConfigError(message) from None
