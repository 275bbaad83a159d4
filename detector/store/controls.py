"""Control records in the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from detector.store.checksum import checksum
from detector.store.connection import damaged
from detector.types import ControlKind, ControlRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path


def add(sqlite: sqlite3.Connection, control: ControlRecord) -> None:
    """Append a control record, inside the caller's transaction."""
    values = (control.boundary, control.kind.value, msgspec.json.encode(control.payload).decode())
    sqlite.execute(
        "INSERT INTO control (boundary, kind, payload, checksum) VALUES (?, ?, ?, ?)", (*values, checksum(*values))
    )


def drop(sqlite: sqlite3.Connection, places: Sequence[int]) -> None:
    """Delete those at some places of their order, counted from 0, inside the caller's transaction."""
    if places:
        sequences = sqlite.execute("SELECT sequence FROM control ORDER BY sequence").fetchall()
        sqlite.executemany("DELETE FROM control WHERE sequence = ?", [sequences[place] for place in places])


def read(sqlite: sqlite3.Connection, file: Path) -> list[ControlRecord]:
    """Return all control records in the order they were added; StoreDamagedError where a checksum fails."""
    controls = []
    found = sqlite.execute("SELECT boundary, kind, payload, checksum FROM control ORDER BY sequence")
    for number, (boundary, kind, payload, expected) in enumerate(found):
        if checksum(boundary, kind, payload) != expected:
            raise damaged(file, f"the checksum of control record {number} fails")
        controls.append(ControlRecord(boundary, ControlKind(kind), msgspec.json.decode(payload)))
    return controls
