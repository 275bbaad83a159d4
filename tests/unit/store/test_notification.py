from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from detector.errors import StoreDamagedError, StoreError, StoreFullError, StoreLockedError, StoreNewerError
from detector.store import incidents, inspect, outbox
from detector.store.notification import NotificationFile, view
from detector.types import Attempt, KnownIncident, OutboxEntry, Outcome, Partition, Phase, Reason, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Iterator[NotificationFile]:
    with contextlib.closing(NotificationFile(tmp_path, keep_given_up=2, now=lambda: 100.0)) as opened:
        yield opened


def incident(number: int = 1, **changed: object) -> KnownIncident:
    known = KnownIncident(
        id=f"{number:032x}",
        sequence=1,
        kind="anomaly",
        phase=Phase.OPEN,
        reason=None,
        severity=Severity.WARNING,
        partition=Partition("orders", 3),
        entity=f"e{number}",
        start=1.0,
        time=2.0,
        peak=4.5,
        shares={"cpu": 0.75, "disk": 0.25},
        body=b'{"some": "alert"}',
        sinks=("stdout",),
        heard=3.0,
        changed=4.0,
    )
    return replace(known, **changed)  # type: ignore[arg-type]  # by name


def test_an_incident_is_read_as_it_was_taken_in_last(file: NotificationFile) -> None:
    connection = file.connect()
    with connection.writing() as sqlite:
        first = incidents.take_in(sqlite, incident())
        second = incidents.take_in(sqlite, incident(sequence=2, phase=Phase.RESOLVE, reason=Reason.RECOVERED))
    assert (first.revision, second.revision) == (1, 2)
    with connection.reading() as sqlite:
        assert incidents.find(sqlite, file.file, first.id) == second
        assert incidents.find(sqlite, file.file, "unknown") is None
        assert list(incidents.open_ones(sqlite, file.file)) == []
        assert incidents.latest(sqlite, file.file, 5) == [second]


def test_news_are_what_was_taken_in_after_a_revision_in_order(file: NotificationFile) -> None:
    connection = file.connect()
    with connection.writing() as sqlite:
        known = [incidents.take_in(sqlite, incident(n)) for n in range(1, 5)]
        again = incidents.take_in(sqlite, known[0])
    with connection.reading() as sqlite:
        assert incidents.news(sqlite, file.file, 1, 2) == known[1:3]
        assert incidents.news(sqlite, file.file, 3, 10) == [known[3], again]


def test_the_newest_that_are_over_are_kept_and_the_open_ones_and_members_anyway(file: NotificationFile) -> None:
    with file.connect().writing() as sqlite:
        for n in range(1, 7):
            phase = Phase.OPEN if n == 1 else Phase.RESOLVE
            incidents.take_in(sqlite, incident(n, phase=phase))
        sqlite.execute("INSERT INTO member (grouping, incident) VALUES (1, ?)", (incident(2).id,))
        sqlite.execute("INSERT INTO fate VALUES (?, 'a', 1, 'told', '', 0)", (incident(3).id,))
        incidents.prune(sqlite, 2)
        kept = [known.entity for known in incidents.latest(sqlite, file.file, 10)]
        assert kept == ["e6", "e5", "e2", "e1"]
        assert sqlite.execute("SELECT count(*) FROM fate").fetchone() == (0,)


def test_its_outbox_is_delivered_from_as_a_partitions_is(file: NotificationFile) -> None:
    entries = [OutboxEntry(f"id-{n}", "webhook", "alert", b"body") for n in range(4)]
    with file.connect().writing() as sqlite:
        outbox.add(sqlite, entries, file.now())
    due = file.due("webhook", 200.0, 10)
    assert [queued.entry for queued in due] == entries
    assert file.backlog() == {"webhook": (4, 100.0, 16)}
    file.settle([(due[0], Attempt(Outcome.DELIVERED, "200"), 0.0)])
    file.settle([(queued, Attempt(Outcome.REFUSED, "400"), 0.0) for queued in due[1:]])
    assert file.backlog() == {}
    with file.connect().reading() as sqlite:
        assert [kept.entry.id for kept in outbox.read_all(sqlite, file.file)] == ["id-2", "id-3"]


def test_several_workers_share_it_and_one_leads(file: NotificationFile, tmp_path: Path) -> None:
    with contextlib.closing(NotificationFile(tmp_path, keep_given_up=2)) as other:
        leading = file.lead()
        with pytest.raises(StoreLockedError):
            other.lead()
        leading.close()
        other.lead().close()
        mine = file.connect()
        before = mine.version()
        with other.connect().writing() as sqlite:
            taken = incidents.take_in(sqlite, incident())
        assert mine.version() != before
        with mine.reading() as sqlite:
            assert incidents.find(sqlite, file.file, taken.id) == taken


def test_a_changed_byte_is_noticed(file: NotificationFile) -> None:
    with file.connect().writing() as sqlite:
        taken = incidents.take_in(sqlite, incident())
        sqlite.execute("UPDATE incident SET body = x'00'")
        with pytest.raises(StoreDamagedError, match=f"checksum of incident {taken.id}"):
            incidents.find(sqlite, file.file, taken.id)


def test_a_file_of_a_newer_version_or_of_another_use_is_refused(file: NotificationFile, tmp_path: Path) -> None:
    file.close()
    with contextlib.closing(sqlite3.connect(file.file)) as raw:
        raw.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreNewerError, match=r"notification\.sqlite: written by a newer detector \(format 99"):
        NotificationFile(tmp_path, keep_given_up=2)
    with contextlib.closing(sqlite3.connect(file.file)) as raw:
        raw.execute("PRAGMA application_id = 7")
    with pytest.raises(StoreDamagedError, match="application id 7"):
        NotificationFile(tmp_path, keep_given_up=2)


def test_it_is_looked_at_while_it_is_open_and_where_there_is_none_that_is_said(
    file: NotificationFile, tmp_path: Path
) -> None:
    with file.connect().writing() as sqlite:
        taken = incidents.take_in(sqlite, incident())
    with view(tmp_path) as sqlite:
        assert incidents.latest(sqlite, file.file, 1) == [taken]
    with pytest.raises(StoreError, match=r"holds no notification\.sqlite"), view(tmp_path / "other"):
        pass


def test_a_check_of_the_store_looks_at_it_too(file: NotificationFile, tmp_path: Path) -> None:
    with file.connect().writing() as sqlite:
        incidents.take_in(sqlite, incident())
        outbox.add(sqlite, [OutboxEntry("id", "webhook", "alert", b"body")], file.now())
    assert inspect.check(tmp_path) == []
    with file.connect().writing() as sqlite:
        sqlite.execute("UPDATE incident SET severity = 'critical'")
        sqlite.execute("UPDATE outbox SET body = x'00'")
    problems = [finding.problem for finding in inspect.check(tmp_path)]
    assert [problem.partition(": ")[0] for problem in problems] == [str(file.file)] * 2
    assert "checksum of incident" in problems[0]
    assert "checksum of outbox entry 1" in problems[1]


def test_without_room_to_begin_it_says_so_at_each_call_until_there_is(tmp_path: Path) -> None:
    """A folder stands where the file is to be: SQLite cannot open it, as on a disk that is full."""
    in_the_way = tmp_path / "notification.sqlite"
    in_the_way.mkdir()
    with contextlib.closing(NotificationFile(tmp_path, keep_given_up=2)) as opened:
        for _ in range(2):
            with pytest.raises(StoreFullError, match="make room on its disk"):
                opened.backlog()
        in_the_way.rmdir()
        assert opened.backlog() == {}
