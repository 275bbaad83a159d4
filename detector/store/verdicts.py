"""What was said of incidents, in the file of notification: it goes with what later ones are compared to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from detector.store.connection import Connection

TABLES = """
-- What was said last of an incident by feedback.
CREATE TABLE verdict (
    incident TEXT PRIMARY KEY, verdict TEXT NOT NULL, feedback TEXT NOT NULL,
    author TEXT NOT NULL, comment TEXT NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
"""


class Verdict(NamedTuple):
    """What was said last of an incident: `normal` or `fault`, by the feedback of that id; `at` in epoch seconds."""

    incident: str
    verdict: str
    feedback: str
    author: str
    comment: str
    at: float


class KeptVerdicts:
    """What was said of incidents, as the notifier asks for it. `connection` is its own."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, identities: Sequence[str]) -> dict[str, str]:
        """Return what was said, by incident id; those of which nothing was said are left out."""
        with self._connection.reading() as sqlite:
            return {incident: said.verdict for incident, said in of(sqlite, identities).items()}


def say(sqlite: sqlite3.Connection, verdict: Verdict) -> None:
    """Take note of what was said, in place of what was said before."""
    sqlite.execute("INSERT OR REPLACE INTO verdict VALUES (?, ?, ?, ?, ?, ?)", verdict)


def take_back(sqlite: sqlite3.Connection, feedback: str) -> None:
    """Forget what a feedback said, unless another has said something since."""
    sqlite.execute("DELETE FROM verdict WHERE feedback = ?", (feedback,))


def of(sqlite: sqlite3.Connection, incidents: Sequence[str]) -> dict[str, Verdict]:
    """Return what was said of those incidents, by their ids."""
    marks = ", ".join("?" * len(incidents))
    found = sqlite.execute(f"SELECT * FROM verdict WHERE incident IN ({marks})", tuple(incidents))  # noqa: S608 - marks
    return {row[0]: Verdict(*row) for row in found}
