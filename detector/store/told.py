"""What people ask of the files, beside a live daemon or without: feedback, and what became of events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from detector.models.header import Header
from detector.store import controls, events, fates, folder, incidents, outbox, schema, verdicts
from detector.store.inspect import view
from detector.store.notification import file_in
from detector.store.notification import view as notification_view
from detector.types import ControlKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from detector.models.kept import Event
    from detector.store.fates import Fate
    from detector.store.verdicts import Verdict
    from detector.types import ControlRecord, DeadLetter, KnownIncident, Partition, Position


def feedback(path: Path) -> list[dict[str, Any]]:
    """Return all that was said in the store at `path`, by partition and in order; see `listed`."""
    folder.read_id(path)
    said: list[dict[str, Any]] = []
    for partition in folder.partitions(path):
        with view(path, partition) as (sqlite, file):
            checkpoint = schema.read_checkpoint(sqlite, file)
            time = Header.decode(checkpoint.header).time if checkpoint else None
            said += [{"partition": str(partition), **each} for each in listed(controls.read(sqlite, file), time)]
    return said


def listed(records: Sequence[ControlRecord], time: float | None) -> list[dict[str, Any]]:
    """Return all that was said in a partition, in order, from its control records, as of its event time.

    `state` is `in force`, `expired` or `undone` (then with `undone_by` and `undone_at`).
    """
    told: dict[str, dict[str, Any]] = {}
    for record in records:
        said = record.payload
        if record.kind is not ControlKind.FEEDBACK:
            continue
        if "undo" in said:
            if said["undo"] in told:  # else it was said so long ago that it is kept no more
                told[said["undo"]] |= {"state": "undone", "undone_by": said["by"], "undone_at": said["at"]}
            continue
        over = time is not None and said["until"] is not None and said["until"] <= time
        shown = {name: value for name, value in said.items() if name not in {"features", "centre", "scale"}}
        told[said["id"]] = {**shown, "at_block": record.boundary, "state": "expired" if over else "in force"}
    return list(told.values())


class Looked(NamedTuple):
    """What is known of one record, and how far the partition's file goes.

    events       of its rows, those that are kept
    letters      it, where it was rejected
    reached      position of the last checkpoint, None before the first
    span         offsets of the first and the last event kept
    topic_id     of the log, which the ids of incidents are made of
    """

    events: list[Event]
    letters: list[DeadLetter]
    reached: Position | None
    span: tuple[int, int] | None
    topic_id: str


def record(path: Path, partition: Partition, offset: int) -> Looked:
    """Return what is known of the record at an offset; StoreError where there is no store of that partition."""
    folder.read_id(path)
    with view(path, partition) as (sqlite, file):
        checkpoint = schema.read_checkpoint(sqlite, file)
        letters = [each for each in outbox.dead_letters(sqlite, file, partition) if each.offset == offset]
        return Looked(
            events.at(sqlite, file, offset),
            letters,
            checkpoint.position if checkpoint else None,
            events.span(sqlite) if events.exist(sqlite) else None,
            (checkpoint.topic_id if checkpoint else "") or folder.read_id(path),
        )


def findings(path: Path, limit: int) -> list[dict[str, Any]]:
    """Return what refits found anomalous in hindsight, the newest first; none of it was an incident.

    What several refits found is told once, as the last of them saw it.
    """
    folder.read_id(path)
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for partition in folder.partitions(path):
        with view(path, partition) as (sqlite, file):
            candidates = [each.payload for each in controls.read(sqlite, file) if each.kind is ControlKind.CANDIDATE]
        for payload in candidates:
            for each in payload["findings"]:
                same = (partition, each["entity"], each["time"], tuple(each["values"].values()))
                told = {"partition": str(partition), **each, "candidate": payload["candidate"], "at": payload["at"]}
                found[same] = told
    return sorted(found.values(), key=lambda each: -float(each["time"]))[:limit]


class Told(NamedTuple):
    """An incident as notification knows it, what became of it at each sink, and what was said of it."""

    incident: KnownIncident
    fates: list[Fate]
    verdict: Verdict | None


def incidents_of(path: Path, *, identity: str | None = None, limit: int = 50) -> list[Told]:
    """Return the incidents whose ids begin so, or the newest ones; none where nothing was ever notified of here."""
    file = file_in(path)
    if not file.exists():
        folder.read_id(path)
        return []
    with notification_view(path) as sqlite:
        found = (
            incidents.latest(sqlite, file, limit) if identity is None else incidents.beginning(sqlite, file, identity)
        )
        said = verdicts.of(sqlite, [each.id for each in found])
        return [Told(each, fates.of_incident(sqlite, each.id), said.get(each.id)) for each in found]
