from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from detector.config.matchers import parse
from detector.errors import StoreDamagedError
from detector.store import silences
from detector.store.connection import Connection
from detector.store.notification import NotificationFile
from detector.store.silences import KEEP, KEEP_SECONDS, Silence

SILENCE = Silence("a1", parse('entity=~"db-.*", severity!=critical'), 100.0, 200.0, "ann", "a disk is changed", 50.0)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[NotificationFile]:
    file = NotificationFile(tmp_path / "store", keep_given_up=10)
    yield file
    file.close()


@pytest.fixture
def connection(file: NotificationFile) -> Connection:
    return file.connect()


def add(connection: Connection, *some: Silence) -> None:
    with connection.writing() as sqlite:
        for silence in some:
            silences.add(sqlite, silence)


def kept(file: NotificationFile, connection: Connection) -> list[Silence]:
    with connection.reading() as sqlite:
        return silences.read_all(sqlite, file.file)


def test_a_silence_holds_from_its_first_moment_to_before_its_last() -> None:
    assert [SILENCE.state(now) for now in (99.9, 100.0, 199.9, 200.0)] == ["pending", "active", "active", "expired"]
    ended = replace(SILENCE, expired=150.0)
    assert [ended.state(now) for now in (149.9, 150.0)] == ["active", "expired"]
    assert ended.over == 150.0
    assert replace(SILENCE, expired=50.0).state(120.0) == "expired", "it was ended before it began"


def test_it_mutes_what_all_its_matchers_match_while_it_holds() -> None:
    labels = {"entity": "db-1", "severity": "warning"}
    assert SILENCE.mutes(labels, 150.0)
    assert not SILENCE.mutes(labels | {"severity": "critical"}, 150.0)
    assert not SILENCE.mutes(labels, 99.0)
    assert not SILENCE.mutes(labels, 200.0)


def test_silences_come_back_as_they_were_written_by_their_beginnings(
    file: NotificationFile, connection: Connection
) -> None:
    odd = Silence("b2", parse(r'entity="a \"b\", c"'), 90.0, 300.0, "bob", "ä\nb", 60.0, 120.0)
    add(connection, SILENCE, odd)
    assert kept(file, connection) == [odd, SILENCE]


def test_one_is_ended_and_the_others_stay(file: NotificationFile, connection: Connection) -> None:
    other = replace(SILENCE, id="b2")
    add(connection, SILENCE, other)
    with connection.writing() as sqlite:
        silences.expire(sqlite, SILENCE, 150.0)
    assert kept(file, connection) == [replace(SILENCE, expired=150.0), other]


def test_what_has_long_been_over_is_forgotten_and_never_what_is_not(
    file: NotificationFile, connection: Connection
) -> None:
    now = 200.0 + KEEP_SECONDS
    later = replace(SILENCE, id="b2", ends=200.1)
    ended = replace(SILENCE, id="c3", ends=now + 9, expired=200.0)
    add(connection, SILENCE, later, ended, replace(SILENCE, id="d4", ends=now + 9))
    with connection.writing() as sqlite:
        silences.forget(sqlite, now)
    assert [silence.id for silence in kept(file, connection)] == ["b2", "d4"]


def test_of_many_that_are_over_the_newest_are_kept(file: NotificationFile, connection: Connection) -> None:
    add(connection, *(replace(SILENCE, id=f"{n:04}", ends=200.0 + n) for n in range(KEEP + 3)))
    add(connection, replace(SILENCE, id="live", ends=5000.0))
    with connection.writing() as sqlite:
        silences.forget(sqlite, 3000.0)
    ids = [silence.id for silence in kept(file, connection)]
    assert ids == [*(f"{n:04}" for n in range(3, KEEP + 3)), "live"]


def test_a_changed_bit_is_noticed(file: NotificationFile, connection: Connection) -> None:
    add(connection, SILENCE)
    with connection.writing() as sqlite:
        sqlite.execute("UPDATE silence SET ends = 201.0")
    with pytest.raises(StoreDamagedError, match="the checksum of silence a1 fails"):
        kept(file, connection)
