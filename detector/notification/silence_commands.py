"""`silence add | list | expire`: what an operator says, judged, and kept in the file of notification.

The same is done by a running daemon, which is asked, and by the command line itself where none runs.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from detector.config.labels import LABELS, never_met
from detector.config.matchers import Matcher, parse
from detector.errors import CommandError
from detector.store import silences
from detector.store.silences import Silence

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from detector.store.connection import Connection

_LIVE = 1000
"""Silences that are active or pending, at most: each message is held against all of them."""
_MATCHERS = 50
_TEXT_BYTES = 4096
_ID_BYTES = 4
_LONGEST = 10 * 366 * 86400.0


class SilenceCommands:
    """Answers the commands. All times of payloads and answers are epoch seconds by the clock `now`.

    `labels` tells which ones incidents have.
    """

    def __init__(
        self, file: Path, connection: Connection, now: Callable[[], float], labels: Callable[[], Sequence[str]]
    ) -> None:
        self._file = file
        self._connection = connection
        self._now = now
        self._labels = labels

    def add(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Keep a silence, for `seconds` or `until` a time, `from` now or a time; returns it."""
        now = self._now()
        silence = _judged(payload, now, self._labels)
        with self._connection.writing() as sqlite:
            silences.forget(sqlite, now)
            kept = silences.read_all(sqlite, self._file)
            live = sum(other.state(now) != "expired" for other in kept)
            if live >= _LIVE:
                message = f"silence: {live} are active or pending already, which is the most; expire some of them"
                raise CommandError(message)
            silences.add(sqlite, silence)
        return {"silence": _told(silence, now)}

    def list(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return silences that are active or pending; `expired`: those too that are over and still kept."""
        with self._connection.reading() as sqlite:
            return listed(sqlite, self._file, payload, self._now())

    def expire(self, payload: dict[str, Any]) -> dict[str, Any]:
        """End the silences of those `ids` now, all or none of them; returns them."""
        now, ids = self._now(), payload.get("ids")
        if not isinstance(ids, list) or not ids:
            message = "silence: expected the ids of silences"
            raise CommandError(message)
        with self._connection.writing() as sqlite:
            kept = {silence.id: silence for silence in silences.read_all(sqlite, self._file)}
            for identity in ids:
                if identity not in kept:
                    message = f"silence {identity}: not known; `detector silence list` tells their ids"
                    raise CommandError(message)
                if kept[identity].state(now) == "expired":
                    message = f"silence {identity}: it has been over since {_iso(kept[identity].over)}"
                    raise CommandError(message)
            for identity in dict.fromkeys(ids):
                silences.expire(sqlite, kept[identity], now)
            ended = [each for each in silences.read_all(sqlite, self._file) if each.id in ids]
        return {"silences": [_told(silence, now) for silence in ended]}


def listed(sqlite: sqlite3.Connection, file: Path, payload: dict[str, Any], now: float) -> dict[str, Any]:
    """Answer `silence list` from a file that need not be written."""
    kept = silences.read_all(sqlite, file)
    shown = [silence for silence in kept if payload.get("expired") or silence.state(now) != "expired"]
    return {"silences": [_told(silence, now) for silence in shown]}


def _judged(payload: dict[str, Any], now: float, labels: Callable[[], Sequence[str]]) -> Silence:
    """Return the silence that a payload asks for; CommandError where it is none."""
    starts, until, seconds = (_number(payload, name) for name in ("from", "until", "seconds"))
    if (until is None) == (seconds is None):
        message = "silence: say for how long (--for 2h) or until when (--until 2026-12-01T08:00:00Z), and not both"
        raise CommandError(message)
    starts = now if starts is None else starts
    ends = until if until is not None else starts + (seconds or 0.0)
    if max(starts, ends) - now > _LONGEST:
        message = "silence: it would begin or end in more than ten years; for good, use a route instead"
        raise CommandError(message)
    if ends <= max(starts, now):
        begins = "now" if starts <= now else _iso(starts)
        message = f"silence: it would be over at {_iso(ends)}, before it begins ({begins})"
        raise CommandError(message)
    return Silence(
        id=secrets.token_hex(_ID_BYTES),
        matchers=_matchers(payload.get("matchers"), labels),
        starts=starts,
        ends=ends,
        author=_text(payload, "author", "who says so (--by NAME)"),
        comment=_text(payload, "comment", "why (--comment TEXT)"),
        created=now,
    )


def _matchers(given: object, labels: Callable[[], Sequence[str]]) -> tuple[Matcher, ...]:
    if not isinstance(given, list) or not all(isinstance(text, str) for text in given):
        message = "silence: expected matchers"
        raise CommandError(message)
    try:
        matchers = tuple(matcher for text in given for matcher in parse(text))
    except ValueError as error:
        message = f"silence: {error}"
        raise CommandError(message) from None
    if not 0 < len(matchers) <= _MATCHERS or sum(len(str(matcher)) for matcher in matchers) > _TEXT_BYTES:
        message = f"silence: expected 1 to {_MATCHERS} matchers (of {_TEXT_BYTES} characters in all)"
        raise CommandError(message)
    of_every_incident = {matcher.name for matcher in matchers} <= {*LABELS}
    if wrong := never_met(matchers, LABELS if of_every_incident else labels()):
        message = f"silence: {wrong}"
        raise CommandError(message)
    if all(matcher.matches({}) for matcher in matchers):
        message = (
            "silence: these matchers hold for what has no labels at all, which is nearly everything; say "
            'topic=~".+" if that is meant'
        )
        raise CommandError(message)
    return matchers


def _number(payload: dict[str, Any], name: str) -> float | None:
    value = payload.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        message = f"silence: `{name}` is no time: expected more than 0 seconds"
        raise CommandError(message)
    return float(value)


def _text(payload: dict[str, Any], name: str, expected: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not 0 < len(value.strip().encode()) <= _TEXT_BYTES:
        message = f"silence: say {expected}, in at most {_TEXT_BYTES} bytes"
        raise CommandError(message)
    return value.strip()


def _told(silence: Silence, now: float) -> dict[str, Any]:
    return {
        "id": silence.id,
        "state": silence.state(now),
        "matchers": [str(matcher) for matcher in silence.matchers],
        "from": _iso(silence.starts),
        "until": _iso(silence.over),
        "author": silence.author,
        "comment": silence.comment,
        "created": _iso(silence.created),
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def commands_of(commands: SilenceCommands) -> Sequence[tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]]:
    """Return the commands by the names under which they are asked."""
    return (
        ("silence add", commands.add),
        ("silence list", commands.list),
        ("silence expire", commands.expire),
    )
