"""`detector outbox retry` and `drop`: what an operator asks about messages that wait, answered by the daemon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from detector.control.commands import Commands
from detector.errors import CommandError
from detector.store import waiting

log = structlog.get_logger(__name__)


def retry(folder: Path, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Let the chosen messages of a folder be due now."""
    return {"messages": waiting.retry(folder, chosen(payload), now)}


def drop(folder: Path, payload: dict[str, Any]) -> dict[str, Any]:
    """Delete the chosen messages of a folder."""
    return {"messages": waiting.drop(folder, chosen(payload))}


class OutboxCommands:
    """Answers the commands about the outboxes of the store's folder; `resume` has the delivery look at once."""

    def __init__(self, folder: Path, resume: Callable[[], None], now: Callable[[], float]) -> None:
        self._folder = folder
        self._resume = resume
        self._now = now

    def register(self, commands: Commands) -> None:
        """Let them be asked."""
        commands.register("outbox retry", self.retry)
        commands.register("outbox drop", self.drop)

    def retry(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Let the chosen messages be due now."""
        return self._done("outbox_retried", payload, retry(self._folder, payload, self._now()))

    def drop(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Delete the chosen messages."""
        return self._done("outbox_dropped", payload, drop(self._folder, payload))

    def _done(self, what: str, payload: dict[str, Any], done: dict[str, Any]) -> dict[str, Any]:
        log.info(what, messages=done["messages"], sink=payload.get("sink"))
        self._resume()
        return done


def chosen(payload: dict[str, Any]) -> waiting.Choice:
    """Return which messages a payload means; CommandError where it could mean any."""
    choice = waiting.Choice(tuple(payload.get("ids") or ()), payload.get("sink"), payload.get("state"))
    if not choice.ids and choice.sink is None:
        message = "outbox: expected ids of messages, or --sink: which messages?"
        raise CommandError(message)
    return choice
