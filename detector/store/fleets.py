"""In the file of notification: entities that partitions know, those with an open incident, and fleets under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from detector.types import Partition


class FleetRow(NamedTuple):
    """A fleet incident under way: its topic, its id, and when it began (epoch seconds)."""

    topic: str
    id: str
    since: float


def know(sqlite: sqlite3.Connection, entities: Mapping[Partition, int]) -> None:
    """Write how many entities each partition knows."""
    sqlite.executemany(
        "INSERT OR REPLACE INTO known VALUES (?, ?, ?)", ((*partition, count) for partition, count in entities.items())
    )


def known(sqlite: sqlite3.Connection, topic: str) -> int:
    """Return how many entities a topic's partitions know; 0 where none has said."""
    (count,) = sqlite.execute("SELECT coalesce(sum(entities), 0) FROM known WHERE topic = ?", (topic,)).fetchone()
    return int(count)


def affected(sqlite: sqlite3.Connection, topic: str) -> int:
    """Return how many entities of a topic have an open incident."""
    (count,) = sqlite.execute(
        "SELECT count(DISTINCT entity) FROM incident WHERE topic = ? AND phase <> 'resolve' AND entity IS NOT NULL",
        (topic,),
    ).fetchone()
    return int(count)


def any_critical(sqlite: sqlite3.Connection, topic: str) -> bool:
    """Return whether an open incident of a topic is critical."""
    found = sqlite.execute(
        "SELECT 1 FROM incident WHERE topic = ? AND phase <> 'resolve' AND severity = 'critical' LIMIT 1", (topic,)
    )
    return found.fetchone() is not None


def sinks(sqlite: sqlite3.Connection, topic: str) -> set[str]:
    """Return the sinks that are told directly of an open incident of a topic."""
    found = sqlite.execute("SELECT DISTINCT sinks FROM incident WHERE topic = ? AND phase <> 'resolve'", (topic,))
    return {sink for (text,) in found for sink in msgspec.json.decode(text, type=list[str])}


def names(sqlite: sqlite3.Connection, topic: str, limit: int) -> list[str]:
    """Return the first of those entities by name."""
    found = sqlite.execute(
        "SELECT DISTINCT entity FROM incident WHERE topic = ? AND phase <> 'resolve' AND entity IS NOT NULL "
        "ORDER BY entity LIMIT ?",
        (topic, limit),
    )
    return [entity for (entity,) in found]


def under_way(sqlite: sqlite3.Connection) -> list[FleetRow]:
    """Return the fleet incidents under way."""
    return [FleetRow(*row) for row in sqlite.execute("SELECT topic, id, since FROM fleet ORDER BY topic")]


def begin(sqlite: sqlite3.Connection, fleet: FleetRow) -> None:
    """Write that a fleet incident is under way."""
    sqlite.execute("INSERT OR REPLACE INTO fleet VALUES (?, ?, ?)", fleet)


def end(sqlite: sqlite3.Connection, topic: str) -> None:
    """Write that a topic's fleet incident is over."""
    sqlite.execute("DELETE FROM fleet WHERE topic = ?", (topic,))
