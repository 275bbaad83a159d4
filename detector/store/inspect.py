"""Looking at stores and moving them: what `detector state` does.

Everything but an import may be done while a daemon has the partition open: SQLite gives a reader one consistent view,
which here is that of the last checkpoint.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detector.errors import StoreDamagedError, StoreError, StoreNewerError, StoreOlderError
from detector.store import controls, events, folder, incidents, notification, outbox, portable, schema, silences
from detector.store import slots as slot_rows
from detector.store.connection import Connection
from detector.store.lock import FileLock
from detector.store.viewing import viewed
from detector.types import Position, SlotState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from detector.types import Checkpoint, ControlRecord, DeadLetter, Partition


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong in a file; `problem` says what to do, too."""

    file: Path
    problem: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a partition's file holds. Times are epoch seconds; `oldest` and `newest` are event times of slots."""

    partition: Partition
    file: Path
    bytes: int
    checkpoint: Checkpoint | None
    alerts_through: Position
    alerts_through_block: int
    entities: int
    oldest: float | None
    newest: float | None
    controls: list[ControlRecord]
    backlog: dict[str, tuple[int, float, int]]
    given_up: int
    dead_letters: int


def check(path: Path) -> list[Finding]:
    """Verify everything in the store at `path`: SQLite's own structures and every checksum.

    A file of a newer version is a finding too: it must not hide what is wrong with the others. Raises StoreError where
    there is no store.
    """
    findings: list[Finding] = []
    try:
        folder.read_id(path)
    except StoreDamagedError as error:
        findings.append(Finding(path / "store.json", str(error)))
    for partition in folder.partitions(path):
        file = folder.partition_file(path, partition)
        try:
            with view(path, partition) as (sqlite, _):
                findings += _check_file(sqlite, file, partition)
        except (StoreDamagedError, StoreNewerError, StoreOlderError) as error:
            findings.append(Finding(file, str(error)))
    file = notification.file_in(path)
    if file.exists():
        try:
            with notification.view(path) as sqlite:
                findings += _check_notification(sqlite, file)
        except (StoreDamagedError, StoreNewerError, StoreOlderError) as error:
            findings.append(Finding(file, str(error)))
    return findings


def show(path: Path, partition: Partition) -> Contents:
    """Return what a partition's file holds; StoreError where there is none, or as the file deserves it."""
    folder.read_id(path)
    with view(path, partition) as (sqlite, file):
        head = schema.read_head(sqlite, file)
        seen = [last_seen for _, last_seen in slot_rows.directory(sqlite, head.generation)]
        (given_up,) = sqlite.execute("SELECT count(*) FROM outbox WHERE state <> 'queued'").fetchone()
        (dead_letters,) = sqlite.execute("SELECT count(*) FROM dead_letter").fetchone()
        return Contents(
            partition=head.partition,
            file=file,
            bytes=file.stat().st_size,
            checkpoint=schema.read_checkpoint(sqlite, file),
            alerts_through=head.through,
            alerts_through_block=head.through_block,
            entities=len(seen),
            oldest=min(seen, default=None),
            newest=max(seen, default=None),
            controls=controls.read(sqlite, file),
            backlog=outbox.backlog(sqlite),
            given_up=given_up,
            dead_letters=dead_letters,
        )


def dead_letters(path: Path, partition: Partition) -> list[DeadLetter]:
    """Return a partition's dead letters, oldest first; StoreError where there is no store of it."""
    with view(path, partition) as (sqlite, file):
        return outbox.dead_letters(sqlite, file, partition)


def export(path: Path, partition: Partition, file: Path) -> None:
    """Write a partition's state to one portable file (see `portable`), complete or not at all.

    Raises StoreError where `file` exists already.
    """
    store_id = folder.read_id(path)
    if file.exists():
        message = f"{file}: exists already, and is not overwritten: choose another name."
        raise StoreError(message)
    draft = file.with_name(f"{file.name}.{os.getpid()}.part")
    with view(path, partition) as (sqlite, source), folder.explained(file), _removed_on_failure(draft):
        with draft.open("xb") as out:
            portable.write(out, _messages(sqlite, source, store_id))
            out.flush()
            os.fsync(out.fileno())
        draft.rename(file)


def import_(file: Path, path: Path, *, overwrite: bool = False) -> Partition:
    """Make a partition's store in the folder at `path` from an export; the folder is made if absent.

    All or nothing. Raises StoreError where the folder has a store of that partition and `overwrite` is not set, and
    StoreLockedError where a daemon has it open.
    """
    folder.make(path)
    folder.read_id(path)
    with folder.explained(file), file.open("rb") as source:
        messages = portable.read(source, file)
        head = next(messages)
        assert isinstance(head, portable.Head)
        target = folder.partition_file(path, head.partition)
        if target.exists() and not overwrite:
            message = (
                f"{target}: there is a store of {head.partition} already: move it away, or overwrite it (--overwrite)."
            )
            raise StoreError(message)
        target.parent.mkdir(exist_ok=True)
        with contextlib.closing(FileLock(target.with_suffix(".lock"))):
            _build(target, head, messages)
    return head.partition


@contextlib.contextmanager
def view(path: Path, partition: Partition) -> Iterator[tuple[sqlite3.Connection, Path]]:
    """Open a partition's file, for reading; StoreError where there is none."""
    file = folder.partition_file(path, partition)
    if not file.exists():
        known = ", ".join(str(known) for known in folder.partitions(path)) or "none"
        message = f"{path}: holds no store of {partition}; it holds: {known}."
        raise StoreError(message)
    with viewed(file) as sqlite:
        schema.check_format(sqlite, file)
        yield sqlite, file


def _check_file(sqlite: sqlite3.Connection, file: Path, partition: Partition) -> Iterator[Finding]:
    def slots_are_whole() -> None:
        for _ in slot_rows.read_all(sqlite, file, schema.read_head(sqlite, file).generation):
            pass

    def outbox_is_whole() -> None:
        for _ in outbox.read_all(sqlite, file):
            pass

    def events_are_whole() -> None:
        for _ in events.read_all(sqlite, file):
            pass

    steps: list[Callable[[], object]] = [
        lambda: schema.read_head(sqlite, file),
        lambda: schema.read_checkpoint(sqlite, file),
        lambda: controls.read(sqlite, file),
        slots_are_whole,
        outbox_is_whole,
        events_are_whole,
        lambda: outbox.dead_letters(sqlite, file, partition),
    ]
    yield from _check(sqlite, file, steps)


def _check_notification(sqlite: sqlite3.Connection, file: Path) -> Iterator[Finding]:
    def incidents_are_whole() -> None:
        for _ in incidents.read_all(sqlite, file):
            pass

    def outbox_is_whole() -> None:
        for _ in outbox.read_all(sqlite, file):
            pass

    yield from _check(sqlite, file, [incidents_are_whole, outbox_is_whole, lambda: silences.read_all(sqlite, file)])


def _check(sqlite: sqlite3.Connection, file: Path, steps: Sequence[Callable[[], object]]) -> Iterator[Finding]:
    for (problem,) in sqlite.execute("PRAGMA integrity_check(10)"):
        if problem != "ok":
            yield Finding(file, f"{file}: SQLite says: {problem}. Put a backup in its place, or move the file away.")
    for step in steps:
        try:
            step()
        except StoreDamagedError as error:
            yield Finding(file, str(error))


def _messages(sqlite: sqlite3.Connection, file: Path, store_id: str) -> Iterator[portable.Message]:
    head = schema.read_head(sqlite, file)
    checkpoint = schema.read_checkpoint(sqlite, file)
    yield portable.Head(head.partition, store_id, head.through, head.through_block, checkpoint)
    yield portable.Controls(controls.read(sqlite, file))
    yield from portable.slots_of(slot_rows.read_all(sqlite, file, head.generation))
    yield from portable.outbox_of(outbox.read_all(sqlite, file))
    yield portable.DeadLetters(outbox.dead_letters(sqlite, file, head.partition))


def _build(target: Path, head: portable.Head, messages: Iterator[portable.Message]) -> None:
    draft = target.with_suffix(".import")
    ids = slot_rows.Ids()
    leftovers = [draft, *_beside(draft)]
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    with _removed_on_failure(*leftovers):
        with contextlib.closing(Connection(draft, threading.Lock(), autocheckpoint=1000)) as connection:
            with connection.writing() as sqlite:
                schema.create(sqlite, head.partition)
            # Several messages a transaction, as each ends with a wait for the disk.
            while part := list(itertools.islice(messages, 20)):
                with connection.writing() as sqlite:
                    for message in part:
                        _restore(sqlite, ids, message)
            with connection.writing() as sqlite:
                if head.checkpoint is not None:
                    schema.write_checkpoint(sqlite, head.checkpoint)
                schema.write_head(
                    sqlite, schema.Head(*head.partition, 1, 0, *head.through, through_block=head.through_block)
                )
        # The old file's WAL goes first: SQLite would play it into the new file.
        for old in _beside(target):
            old.unlink(missing_ok=True)
        draft.rename(target)
        folder.sync(target.parent)


def _restore(sqlite: sqlite3.Connection, ids: slot_rows.Ids, message: portable.Message) -> None:
    match message:
        case portable.Controls(items=records):
            for control in records:
                controls.add(sqlite, control)
        case portable.Slots(items=found):
            ids.stage(sqlite, (SlotState(*slot) for slot in found), 1)
        case portable.Outbox(items=rows):
            outbox.restore(sqlite, rows)
        case portable.DeadLetters(items=letters):
            outbox.keep_rejects(sqlite, letters, len(letters) or 1)
        case _:  # the head is written at the end
            pass


def _beside(file: Path) -> list[Path]:
    return [file.with_name(file.name + "-wal"), file.with_name(file.name + "-shm")]


@contextlib.contextmanager
def _removed_on_failure(*drafts: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        for draft in drafts:
            draft.unlink(missing_ok=True)
        raise
