"""Silences in the file of notification."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from detector.config.matchers import Matcher, all_match, parse
from detector.store.checksum import checksum
from detector.store.connection import damaged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from pathlib import Path

# They are read whenever anything is taken in, and hardly ever change.
_parsed = lru_cache(maxsize=4096)(parse)

State = Literal["pending", "active", "expired"]

KEEP_SECONDS = 5 * 86400.0
"""How long a silence is kept when it is over, for whoever asks why nobody was told."""
KEEP = 1000
"""How many are kept that are over, at most."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A muting of notifications for a while: what matches is not told to people. Times are epoch seconds.

    expired  when it was ended before its time; None where it was not
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts: float
    ends: float
    author: str
    comment: str
    created: float
    expired: float | None = None

    @property
    def over(self) -> float:
        """When it is over."""
        return self.ends if self.expired is None else min(self.expired, self.ends)

    def state(self, now: float) -> State:
        """Tell whether it is still to come, holds, or is over."""
        if now >= self.over:
            return "expired"
        return "active" if now >= self.starts else "pending"

    def mutes(self, labels: Mapping[str, str], now: float) -> bool:
        """Tell whether it holds, and an incident with these labels matches."""
        return self.state(now) == "active" and all_match(self.matchers, labels)


def add(sqlite: sqlite3.Connection, silence: Silence) -> None:
    """Write a silence."""
    sqlite.execute(
        "INSERT INTO silence (id, matchers, starts, ends, author, comment, created, expired, checksum) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        _values(silence),
    )


def read_all(sqlite: sqlite3.Connection, file: Path) -> list[Silence]:
    """Return all silences that are kept, in the order of their beginnings; StoreDamagedError where a checksum fails."""
    found = sqlite.execute(
        "SELECT id, matchers, starts, ends, author, comment, created, expired, checksum FROM silence "
        "ORDER BY starts, created, id"
    )
    silences = []
    for *values, expected in found:
        if checksum(*values) != expected:
            raise damaged(file, f"the checksum of silence {values[0]} fails")
        identity, matchers, *rest = values
        silences.append(Silence(identity, _parsed(matchers), *rest))
    return silences


def expire(sqlite: sqlite3.Connection, silence: Silence, at: float) -> None:
    """End a silence before its time."""
    *_, expected = _values(replace(silence, expired=at))
    sqlite.execute("UPDATE silence SET expired = ?, checksum = ? WHERE id = ?", (at, expected, silence.id))


def forget(sqlite: sqlite3.Connection, now: float) -> None:
    """Delete silences that have been over for long, and the oldest of too many that are over."""
    sqlite.execute("DELETE FROM silence WHERE min(coalesce(expired, ends), ends) <= ?", (now - KEEP_SECONDS,))
    sqlite.execute(
        "DELETE FROM silence WHERE id IN (SELECT id FROM silence WHERE min(coalesce(expired, ends), ends) <= ? "
        "ORDER BY min(coalesce(expired, ends), ends) DESC LIMIT -1 OFFSET ?)",
        (now, KEEP),
    )


def _values(silence: Silence) -> tuple[str | float | None, ...]:
    values = (
        silence.id,
        written(silence.matchers),
        silence.starts,
        silence.ends,
        silence.author,
        silence.comment,
        silence.created,
        silence.expired,
    )
    return (*values, checksum(*values))


def written(matchers: tuple[Matcher, ...]) -> str:
    """Return matchers as text, as Alertmanager writes them."""
    return "{" + ", ".join(str(matcher) for matcher in matchers) + "}"
