"""What waits in the files of a folder, seen and changed from outside, while they are open and when they are not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from detector.errors import StoreDamagedError, StoreError
from detector.store import folder
from detector.store.sqlite import SqlitePartition, SqliteStore
from detector.store.waiting import Choice, drop, listed, retry
from detector.types import Attempt, OutboxEntry, Outcome, Partition, Position

PARTITION = Partition("metrics", 0)


def entry(number: int, sink: str = "webhook") -> OutboxEntry:
    return OutboxEntry(f"{number}", sink, "alert", b"{}")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[SqlitePartition]:
    """Hold four entries: 1 waits, 2 waits for a retry, 3 was refused; 4 is another sink's."""
    with closing(SqliteStore(tmp_path, keep_rejects=10, now=lambda: 100.0).open(PARTITION)) as partition:
        entries = [entry(1), entry(2), entry(3), entry(4, "kafka")]
        partition.commit_alerts(entries, Position(1), 0)
        _, two, three = partition.due("webhook", 100.0, 10)
        partition.settle(
            [(two, Attempt(Outcome.RETRY, "503", "busy"), 900.0), (three, Attempt(Outcome.REFUSED, "400", "no"), 0.0)]
        )
        yield partition


def ids(tmp_path: Path, choice: Choice = Choice()) -> list[str]:  # noqa: B008 - it is frozen
    return [each.kept.entry.id for each in listed(tmp_path, choice, 100)[0]]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(), ["1", "2", "3", "4"]),
        (Choice(("3", "1", "9")), ["1", "3"]),
        (Choice(sink="webhook"), ["1", "2", "3"]),
        (Choice(sink="webhook", state="queued"), ["1", "2"]),
        (Choice(state="refused"), ["3"]),
        (Choice(("1' OR '1",)), []),
    ],
    ids=["all", "ids", "sink", "sink and state", "state", "no SQL"],
)
def test_what_is_chosen_meets_all_that_is_given(
    opened: SqlitePartition, tmp_path: Path, choice: Choice, expected: list[str]
) -> None:
    assert ids(tmp_path, choice) == expected


def test_of_many_the_oldest_are_listed_and_all_counted(opened: SqlitePartition, tmp_path: Path) -> None:
    found, count = listed(tmp_path, Choice(), 2)
    assert ([each.kept.entry.id for each in found], count) == (["1", "2"], 4)
    (_, waiting) = found[1]
    assert (waiting.state, waiting.attempts, waiting.due, waiting.code, waiting.detail) == (
        "queued",
        1,
        900.0,
        "503",
        "busy",
    )


def test_what_is_tried_again_is_due_at_once_and_what_was_given_up_is_as_new(
    opened: SqlitePartition, tmp_path: Path
) -> None:
    assert retry(tmp_path, Choice(sink="webhook"), 5000.0) == 3
    due = opened.due("webhook", 100.0, 10)
    assert [(queued.entry, queued.attempts, queued.created) for queued in due] == [
        (entry(1), 0, 100.0),
        (entry(2), 1, 100.0),
        (entry(3), 0, 5000.0),
    ]
    assert opened.backlog()["webhook"][0] == 3


def test_what_is_dropped_is_gone(opened: SqlitePartition, tmp_path: Path) -> None:
    assert drop(tmp_path, Choice(("1", "3"))) == 2
    assert ids(tmp_path) == ["2", "4"]
    assert {sink: entries for sink, (entries, _, _) in opened.backlog().items()} == {"webhook": 1, "kafka": 1}
    assert drop(tmp_path, Choice(("1", "3"))) == 0


def test_where_there_is_no_store_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no store"):
        listed(tmp_path / "nothing", Choice(), 10)


def test_a_damaged_body_is_told(opened: SqlitePartition, tmp_path: Path) -> None:
    opened.close()
    with closing(sqlite3.connect(folder.partition_file(tmp_path, PARTITION))) as sqlite, sqlite:
        sqlite.execute("UPDATE outbox SET body = x'00' WHERE id = '1'")
    with pytest.raises(StoreDamagedError, match="the checksum of outbox entry"):
        listed(tmp_path, Choice(), 10)
