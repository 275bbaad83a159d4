"""What is known, and what was said, of incidents in the file of notification: for `detector feedback`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import structlog

from detector.errors import CommandError, DetectorError
from detector.store import incidents, verdicts
from detector.store.connection import Connection
from detector.store.notification import file_in, view

log = structlog.get_logger(__name__)


class SaidOf:
    """Finds an incident's last alert, and keeps what is said of it; `counted` is told each verdict, `undone` too.

    The file is another's, who may not have made it yet: then no incident is known, and nothing is kept.
    """

    def __init__(self, folder: Path, counted: Callable[[str], None]) -> None:
        self._folder = folder
        self._counted = counted

    def last(self, incident: str) -> dict[str, Any] | None:
        """Return the body of the last alert of an incident, by its id or the beginning of it."""
        if not file_in(self._folder).exists():
            return None
        with view(self._folder) as sqlite:
            found = incidents.beginning(sqlite, file_in(self._folder), incident)
        if len(found) > 1:
            message = f"{incident}: begins the ids of several incidents; give more of it"
            raise CommandError(message)
        body: dict[str, Any] | None = msgspec.json.decode(found[0].body) if found else None
        return body

    def heard(self, incident: str, verdict: str | None, said: dict[str, Any]) -> None:
        """Keep a verdict, or forget the one that is undone (None)."""
        self._counted(verdict or "undone")
        file = file_in(self._folder)
        if not file.exists():
            return
        try:
            with contextlib.closing(Connection(file, threading.Lock())) as connection, connection.writing() as sqlite:
                if verdict is None:
                    verdicts.take_back(sqlite, said["undo"])
                else:
                    told = verdicts.Verdict(incident, verdict, said["id"], said["by"], said["comment"], said["at"])
                    verdicts.say(sqlite, told)
        except DetectorError as error:  # the control record is durable: detection goes by it
            log.warning("verdict_not_kept", incident=incident, why=str(error))
