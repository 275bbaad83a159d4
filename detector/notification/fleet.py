"""Fleets: when many entities of a topic have an open incident at once, they are one incident."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from detector.alerts.words import one_line
from detector.store import fleets
from detector.store.fleets import FleetRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from detector.config.sections import Fleet as Settings

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet as it is now. `entities` are the first of the affected ones by name; `since` is in epoch seconds."""

    id: str
    topic: str
    since: float
    affected: int
    known: int
    entities: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share of the known entities that is affected."""
        return min(self.affected / max(self.known, 1), 1.0)

    def told(self) -> dict[str, Any]:
        """Return it as a message tells it."""
        return {
            "id": self.id,
            "topic": self.topic,
            "since": datetime.fromtimestamp(self.since, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "share": round(self.share, 4),
            "affected": self.affected,
            "known": self.known,
            "entities": self.entities,
            "left_out": max(self.affected - len(self.entities), 0),
        }

    def summary(self) -> str:
        """Return one line."""
        names = ", ".join(one_line(name) for name in self.entities[:_NAMED])
        more = ", ..." if self.affected > _NAMED else ""
        who = f"{self.affected:,} of {self.known:,} entities ({100 * self.share:.0f} %)"
        return f"fleet {one_line(self.topic)}: {who} have an open incident at once: {names}{more}"


class Fleets:
    """The fleets under way, by topic. All methods run inside the caller's transaction."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._under_way: dict[str, FleetRow] = {}

    def load(self, sqlite: sqlite3.Connection) -> None:
        """Take over those that the file knows."""
        self._under_way = {fleet.topic: fleet for fleet in fleets.under_way(sqlite)}

    def look(self, sqlite: sqlite3.Connection, topics: Iterable[str], now: float) -> tuple[list[str], list[Fleet]]:
        """Begin and end fleets in these topics; returns the topics of those that began, and those that are over."""
        began: list[str] = []
        over: list[Fleet] = []
        for topic in topics:
            affected, known = fleets.affected(sqlite, topic), fleets.known(sqlite, topic)
            limit = max(self.settings.share * known, self.settings.least - 1)
            if topic not in self._under_way:
                if known and affected > limit:
                    digest = blake2b(f"{topic} {now!r}".encode(), digest_size=16, person=b"fleet").hexdigest()
                    self._under_way[topic] = FleetRow(topic, digest, now)
                    fleets.begin(sqlite, self._under_way[topic])
                    began.append(topic)
            elif affected < limit / 2:
                row = self._under_way.pop(topic)
                fleets.end(sqlite, topic)
                over.append(Fleet(row.id, topic, row.since, affected, max(known, affected), ()))
        return began, over

    def id_of(self, topic: str) -> str | None:
        """Return the id of a topic's fleet; None where there is none."""
        row = self._under_way.get(topic)
        return row and row.id

    def of(self, sqlite: sqlite3.Connection, topics: Iterable[str]) -> Fleet | None:
        """Return the fleet of one of these topics as it is now, the greatest; None where there is none."""
        found = []
        for topic in topics:
            row = self._under_way.get(topic)
            if row is not None:
                affected = fleets.affected(sqlite, topic)
                entities = tuple(fleets.names(sqlite, topic, self.settings.entities))
                known = max(fleets.known(sqlite, topic), affected)
                found.append(Fleet(row.id, topic, row.since, affected, known, entities))
        return max(found, key=lambda fleet: fleet.affected, default=None)
