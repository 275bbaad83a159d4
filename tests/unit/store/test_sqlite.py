from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from detector.errors import (
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StoreLockedError,
    StoreNewerError,
    StoreOlderError,
)
from detector.store.schema import FORMAT
from detector.store.sqlite import SqlitePartition, SqliteStore
from detector.types import (
    Attempt,
    Checkpoint,
    ControlKind,
    ControlRecord,
    OutboxEntry,
    Outcome,
    Partition,
    Position,
    SlotState,
)

if TYPE_CHECKING:
    from pathlib import Path

ENTITIES = [f"entity-{n:03d}" for n in range(300)]


def checkpoint(offset: int, header: bytes = b"header" * 100) -> Checkpoint:
    return Checkpoint(Position(offset), 1, header, "format-1/tf-2", "topic-id")


def fill(store: SqliteStore, partition: Partition) -> None:
    opened = store.open(partition)
    opened.write_slots(SlotState(entity, 1.0, entity.encode() * 20) for entity in ENTITIES)
    opened.commit_checkpoint(checkpoint(1), [], [], [])
    opened.add_control(ControlRecord(1, ControlKind.CONFIGURATION, {"some": "thing"}))
    opened.commit_alerts([OutboxEntry("id", "webhook", "alert", b"body" * 50)], Position(3), 1)
    opened.close()


def read_everything(store: SqliteStore, partition: Partition) -> tuple[object, ...]:
    opened = store.open(partition)
    with contextlib.closing(opened):
        return (
            opened.checkpoint(),
            opened.alerts_through(),
            opened.read_slots(ENTITIES),
            opened.controls(),
            opened.due("webhook", 0.0, 10),
        )


def overwrite(file: Path, old: bytes, new: bytes) -> None:
    content = file.read_bytes()
    assert old in content
    assert len(old) == len(new)
    file.write_bytes(content.replace(old, new))


# --- files


def test_the_folder_keeps_its_id(folder: Path, store: SqliteStore) -> None:
    assert SqliteStore(folder, keep_rejects=10).id == store.id


def test_daemons_that_make_the_folder_at_once_agree_on_its_id(folder: Path) -> None:
    start = threading.Barrier(8)
    ids = []

    def make() -> None:
        start.wait()
        ids.append(SqliteStore(folder, keep_rejects=10).id)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1
    assert [file.name for file in folder.iterdir()] == ["store.json"]


def test_a_closed_partition_is_one_file(folder: Path, store: SqliteStore, partition: Partition) -> None:
    fill(store, partition)
    assert sorted(file.name for file in (folder / "orders").iterdir()) == ["3.lock", "3.sqlite"]


def test_the_longest_topic_has_a_file(store: SqliteStore) -> None:
    partition = Partition("t" * 249, 2**31 - 1)
    store.open(partition).close()
    assert store.partitions() == [partition]


def test_every_commit_reaches_the_disk(store: SqliteStore, partition: Partition) -> None:
    opened = store.open(partition)
    for connection in (opened._main, opened._writer, opened._delivery):
        with connection.reading() as sqlite:
            assert sqlite.execute("PRAGMA synchronous").fetchone() == (2,)
            assert sqlite.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert sqlite.execute("PRAGMA page_size").fetchone() == (8192,)
    opened.close()


def test_what_is_staged_is_not_synced_by_itself_but_what_follows_is(store: SqliteStore, partition: Partition) -> None:
    opened = store.open(partition)
    with opened._writer.staging() as sqlite:
        assert sqlite.execute("PRAGMA synchronous").fetchone() == (1,)
    with pytest.raises(ZeroDivisionError), opened._writer.staging():
        1 / 0  # noqa: B018 - whatever goes wrong
    with opened._writer.writing() as sqlite:
        assert sqlite.execute("PRAGMA synchronous").fetchone() == (2,)
    opened.close()


# --- damaged and newer


@pytest.mark.parametrize(
    "flip",
    [
        (b"headerheader", b"headerhEader", "checkpoint"),
        (b"format-1/tf-2", b"format-1/tf-3", "checkpoint"),
        (b"entity-007" * 4, b"entity-007" * 3 + b"entity-107", "slot"),
        (b'{"some":"thing"}', b'{"some":"thins"}', "control"),
        (b"bodybody", b"bodyBody", "outbox"),
        (b"orders", b"orderz", "head"),
    ],
)
def test_a_flipped_byte_is_noticed_where_it_is_read(
    folder: Path, store: SqliteStore, partition: Partition, flip: tuple[bytes, bytes, str]
) -> None:
    old, new, what = flip
    fill(store, partition)
    file = folder / "orders" / "3.sqlite"
    overwrite(file, old, new)
    with pytest.raises(StoreDamagedError, match=f"{what}.*detector state check.*move the file away") as caught:
        read_everything(store, partition)
    assert str(file) in str(caught.value)


def test_random_flips_are_noticed_or_harmless(folder: Path, store: SqliteStore, partition: Partition) -> None:
    fill(store, partition)
    file = folder / "orders" / "3.sqlite"
    content = file.read_bytes()
    expected = read_everything(store, partition)
    random_ = random.Random(5)
    noticed = 0
    for _ in range(300):
        flipped = bytearray(content)
        flipped[random_.randrange(len(flipped))] ^= 1 << random_.randrange(8)
        file.write_bytes(flipped)
        try:
            found = read_everything(store, partition)
        except (StoreDamagedError, StoreNewerError):
            noticed += 1
        else:
            # What a flip may do unnoticed: hide a slot from its index, or change what no state depends on.
            assert found[:2] == expected[:2]
            assert found[3] == expected[3]
            states, wanted = found[2], expected[2]
            assert isinstance(states, dict)
            assert isinstance(wanted, dict)
            assert states.items() <= wanted.items()
    assert noticed > 60  # the others fall into what pages leave empty, of so few rows more than half


def test_an_entity_that_is_there_twice_is_called_damaged(
    folder: Path, store: SqliteStore, partition: Partition
) -> None:
    fill(store, partition)
    file = sqlite3.connect(folder / "orders" / "3.sqlite")
    file.execute("UPDATE slot SET entity = 'entity-008' WHERE entity = 'entity-007'")
    file.commit()
    file.close()
    with pytest.raises(StoreDamagedError, match="1 of its slots are there twice"):
        store.open(partition)


def test_what_is_no_database_is_called_damaged(folder: Path, store: SqliteStore, partition: Partition) -> None:
    (folder / "orders").mkdir()
    (folder / "orders" / "3.sqlite").write_bytes(b"anything else" * 1000)
    with pytest.raises(StoreDamagedError, match="not a database"):
        store.open(partition)
    with pytest.raises(StoreDamagedError, match="not a database"):
        store.open(partition)


def test_a_cut_file_is_called_damaged(folder: Path, store: SqliteStore, partition: Partition) -> None:
    fill(store, partition)
    os.truncate(folder / "orders" / "3.sqlite", 20000)
    with pytest.raises(StoreDamagedError):
        read_everything(store, partition)


def test_what_was_replaced_leaves_the_file_once_nobody_needs_it(
    folder: Path, store: SqliteStore, partition: Partition
) -> None:
    opened, everybody = store.open(partition), [f"e{n}" for n in range(2000)]
    for turn, some in enumerate([everybody, everybody, *[everybody[:10]] * 6]):
        opened.write_slots(SlotState(entity, 1.0, b"%d" % turn * 100) for entity in some)
        opened.commit_checkpoint(checkpoint(turn), [], [], [])
    opened.close()
    with contextlib.closing(sqlite3.connect(folder / "orders" / "3.sqlite")) as file:
        assert file.execute("SELECT count(*) FROM slot").fetchone() == (2000,)
        (left,) = file.execute("SELECT count(*) FROM old").fetchone()
    assert left <= 20


def test_another_partitions_file_is_refused(folder: Path, store: SqliteStore, partition: Partition) -> None:
    fill(store, partition)
    (folder / "orders" / "3.sqlite").rename(folder / "orders" / "4.sqlite")
    with pytest.raises(StoreDamagedError, match="store of orders/3, not of orders/4"):
        store.open(Partition("orders", 4))


def test_another_programs_database_is_refused(folder: Path, store: SqliteStore, partition: Partition) -> None:
    (folder / "orders").mkdir()
    other = sqlite3.connect(folder / "orders" / "3.sqlite")
    other.execute("CREATE TABLE mine (a)")
    other.close()
    with pytest.raises(StoreDamagedError, match="not a detector's"):
        store.open(partition)


def test_an_empty_file_is_a_new_store(folder: Path, store: SqliteStore, partition: Partition) -> None:
    (folder / "orders").mkdir()
    (folder / "orders" / "3.sqlite").touch()
    opened = store.open(partition)
    assert opened.checkpoint() is None
    opened.close()


def test_a_newer_file_is_refused_and_left_alone(folder: Path, store: SqliteStore, partition: Partition) -> None:
    fill(store, partition)
    file = folder / "orders" / "3.sqlite"
    newer = sqlite3.connect(file)
    newer.execute(f"PRAGMA user_version = {FORMAT + 1}")
    newer.close()
    content = file.read_bytes()
    with pytest.raises(StoreNewerError, match=rf"format {FORMAT + 1}.*reads up to {FORMAT}.*Run that version"):
        store.open(partition)
    assert file.read_bytes() == content


def test_an_older_file_is_refused_and_left_alone(folder: Path, store: SqliteStore, partition: Partition) -> None:
    fill(store, partition)
    file = folder / "orders" / "3.sqlite"
    older = sqlite3.connect(file)
    older.execute("PRAGMA user_version = 1")
    older.close()
    content = file.read_bytes()
    message = rf"older detector \(format 1; this one reads {FORMAT} alone.*start.*cold"
    with pytest.raises(StoreOlderError, match=message):
        store.open(partition)
    assert file.read_bytes() == content


def test_a_newer_folder_is_refused(folder: Path, store: SqliteStore) -> None:
    (folder / "store.json").write_text(json.dumps({"format": 2, "id": "x", "more": 1}))
    with pytest.raises(StoreNewerError, match=r"store\.json.*format 2"):
        SqliteStore(folder, keep_rejects=10)


def test_a_damaged_folder_is_refused(folder: Path, store: SqliteStore) -> None:
    (folder / "store.json").write_text('{"format": 1, "i')
    with pytest.raises(StoreDamagedError, match=r"store\.json.*backup"):
        SqliteStore(folder, keep_rejects=10)


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"store\.path"):
        SqliteStore(tmp_path / "file" / "state", keep_rejects=10)


# --- locked


def run(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )


HOLD = """
import sys
from pathlib import Path
from detector.store.sqlite import SqliteStore
from detector.types import Partition
opened = SqliteStore(Path(sys.argv[1]), keep_rejects=10).open(Partition("orders", 3))
print("open", flush=True)
sys.stdin.read()
"""


def test_another_process_is_named_and_its_death_frees_the_partition(
    folder: Path, store: SqliteStore, partition: Partition
) -> None:
    with run(HOLD, folder) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StoreLockedError, match=rf"in use by pid {holder.pid} on .*Stop that daemon"):
            store.open(partition)
        store.open(Partition("orders", 4)).close()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    store.open(partition).close()


def test_a_failed_open_leaves_no_lock(folder: Path, store: SqliteStore, partition: Partition) -> None:
    fill(store, partition)
    file = folder / "orders" / "3.sqlite"
    content = file.read_bytes()
    file.write_bytes(b"x" * 5000)
    with pytest.raises(StoreDamagedError):
        store.open(partition)
    file.write_bytes(content)
    store.open(partition).close()


# --- full


def limit_pages(opened: SqlitePartition, pages: int) -> None:
    for connection in (opened._main, opened._writer, opened._delivery):
        with connection.reading() as sqlite:
            sqlite.execute(f"PRAGMA max_page_count = {pages}")


def test_a_full_disk_is_told_and_nothing_is_half_written(store: SqliteStore, partition: Partition) -> None:
    fill(store, partition)
    opened = store.open(partition)
    limit_pages(opened, 1)  # SQLite takes it as: no more pages than there are
    big = [SlotState(f"new-{n}", 1.0, b"x" * 1000) for n in range(500)]
    entries = [OutboxEntry(f"big-{n}", "webhook", "alert", b"x" * 5000) for n in range(100)]
    before = opened.backlog()
    with pytest.raises(StoreFullError, match=r"full.*make room"):
        opened.write_slots(big)
    with pytest.raises(StoreFullError):
        opened.commit_checkpoint(checkpoint(2, b"x" * 1_000_000), ENTITIES[:3], [], entries)
    with pytest.raises(StoreFullError):
        opened.commit_alerts(entries, Position(9), 1)
    with pytest.raises(StoreFullError):
        opened.add_control(ControlRecord(1, ControlKind.CONFIGURATION, {"big": "x" * 1_000_000}))
    assert opened.checkpoint() == checkpoint(1)
    assert opened.alerts_through() == (Position(3), 1)
    assert opened.backlog() == before
    assert len(opened.read_slots(ENTITIES)) == len(ENTITIES)
    limit_pages(opened, 100_000)
    opened.write_slots(big)
    opened.commit_checkpoint(checkpoint(2, b"x" * 1_000_000), ENTITIES[:3], [], entries)
    opened.commit_alerts([], Position(9), 1)
    assert len(opened.read_slots([f"new-{n}" for n in range(500)])) == 500
    assert opened.read_slots(ENTITIES[:3]) == {}
    opened.close()


FULL = """
import resource, sys
from pathlib import Path
from detector.errors import StoreFullError
from detector.store.sqlite import SqliteStore
from detector.types import Checkpoint, Partition, Position, SlotState

store = SqliteStore(Path(sys.argv[1]), keep_rejects=10)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
try:
    store.open(Partition("orders", 3))
except StoreFullError as error:
    print("told at open")
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
opened = store.open(Partition("orders", 3))
done = told = 0
for number in range(400):
    try:
        opened.write_slots([SlotState(f"{number}-{n}", 1.0, bytes(1000)) for n in range(20)])
        opened.commit_checkpoint(Checkpoint(Position(number + 1), 0, b"", "", ""), [], [], [])
        done += 1
    except StoreFullError:
        told += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[0] + 300_000, hard))
        assert opened.checkpoint() == (Checkpoint(Position(number), 0, b"", "", "") if number else None)
        opened.write_slots([SlotState(f"{number}-{n}", 1.0, bytes(1000)) for n in range(20)])
        opened.commit_checkpoint(Checkpoint(Position(number + 1), 0, b"", "", ""), [], [], [])
print(told > 5, len(list(opened.directory())), opened.checkpoint().position.offset)
opened.close()
"""


def test_a_file_that_cannot_grow_is_told_and_goes_on_when_there_is_room(folder: Path) -> None:
    with run(FULL, folder) as process:
        said, _ = process.communicate(timeout=120)
    assert said.splitlines() == ["told at open", "True 8000 400"]
    assert process.returncode == 0


# --- killed

VICTIM = """
import sys
from pathlib import Path
from detector.store.sqlite import SqliteStore
from detector.types import Checkpoint, OutboxEntry, Partition, Position, SlotState

opened = SqliteStore(Path(sys.argv[1]), keep_rejects=10).open(Partition("orders", 3))
before = opened.checkpoint()
version = before.position.offset if before else 0
print("open", flush=True)
while True:
    version += 1
    for part in range(4):
        opened.write_slots([SlotState(f"{n}", version, b"%d" % version) for n in range(part, 400, 4)])
    opened.commit_alerts([OutboxEntry(f"{version}", "webhook", "alert", b"")], Position(version), version)
    opened.commit_checkpoint(Checkpoint(Position(version), version, b"%d" % version, "", ""), [], [], [])
"""


def test_a_kill_at_any_moment_leaves_one_checkpoint_whole(
    folder: Path, store: SqliteStore, partition: Partition
) -> None:
    random_ = random.Random(3)
    names = [f"{n}" for n in range(400)]
    last = 0
    for _ in range(12):
        with run(VICTIM, folder) as victim:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "open\n"
            with contextlib.suppress(subprocess.TimeoutExpired):
                victim.wait(random_.uniform(0.0, 0.15))
            victim.send_signal(signal.SIGKILL)
            victim.wait()
        opened = store.open(partition)
        found = opened.checkpoint()
        version = found.position.offset if found else 0
        assert version >= last
        assert opened.read_slots(names) == (dict.fromkeys(names, b"%d" % version) if version else {})
        assert {seen for _, seen in opened.directory()} == ({float(version)} if version else set())
        assert opened.alerts_through()[0] in {Position(version), Position(version + 1)}
        assert opened.backlog().get("webhook", (0, 0, 0))[0] == opened.alerts_through()[0].offset
        opened.close()
        last = version
    assert last > 5


# --- threads


def test_three_threads_work_beside_each_other(store: SqliteStore, partition: Partition) -> None:
    opened = store.open(partition)
    failures: list[BaseException] = []
    written = threading.Event()

    def guard(work: threading.Thread | None = None, *, role: str) -> None:
        try:
            {"writer": write, "delivery": deliver}[role]()
        except BaseException as error:  # noqa: BLE001 - handed to the test below
            failures.append(error)

    def write() -> None:
        for number in range(1, 41):
            opened.write_slots(SlotState(entity, number, b"%d" % number) for entity in ENTITIES)
            opened.commit_alerts([OutboxEntry(f"{number}", "webhook", "alert", b"x")], Position(number), 1)
            opened.commit_checkpoint(checkpoint(number), [], [], [])
        written.set()

    def deliver() -> None:
        while not written.is_set() or opened.backlog():
            due = opened.due("webhook", 0.0, 5)
            opened.settle([(queued, Attempt(Outcome.DELIVERED, "200"), 0.0) for queued in due])

    threads = [threading.Thread(target=guard, kwargs={"role": role}) for role in ("writer", "delivery")]
    for thread in threads:
        thread.start()
    while not written.is_set() and not failures:
        states = set(opened.read_slots(ENTITIES).values())
        assert len(states) <= 1
        opened.add_control(ControlRecord(1, ControlKind.CONFIGURATION, {}))
    for thread in threads:
        thread.join()
    assert failures == []
    assert opened.alerts_through()[0] == Position(40)
    assert opened.read_slots(ENTITIES[:1]) == {ENTITIES[0]: b"40"}
    opened.close()


def test_closing_waits_for_a_call_under_way(store: SqliteStore, partition: Partition) -> None:
    opened = store.open(partition)
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> object:
        inside.set()
        assert go_on.wait(30)
        return SlotState("a", 1.0, b"a")

    calls = threading.Thread(target=lambda: opened.write_slots(slow() for _ in range(1)))  # type: ignore[misc]  # the states are made while the call runs
    calls.start()
    assert inside.wait(30)
    closing = threading.Thread(target=opened.close)
    closing.start()
    closing.join(0.05)
    assert closing.is_alive()
    with pytest.raises(StoreLockedError):
        store.open(partition)
    go_on.set()
    calls.join()
    closing.join()
    store.open(partition).close()
