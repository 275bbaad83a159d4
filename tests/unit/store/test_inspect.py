from __future__ import annotations

import contextlib
import random
import sqlite3
from typing import TYPE_CHECKING

import pytest

from detector.errors import StoreDamagedError, StoreError, StoreLockedError, StoreNewerError, StoreOlderError
from detector.store.inspect import check, dead_letters, export, import_, show
from detector.store.portable import FORMAT
from detector.store.sqlite import SqliteStore
from detector.types import (
    Attempt,
    Checkpoint,
    ControlKind,
    ControlRecord,
    DeadLetter,
    OutboxEntry,
    Outcome,
    Partition,
    Position,
    SlotState,
)

if TYPE_CHECKING:
    from pathlib import Path

CHECKPOINT = Checkpoint(Position(70, 3), 9, b"header" * 1000, "a fingerprint", "T1")
CONTROL = ControlRecord(4, ControlKind.CONFIGURATION, {"some": ["thing", 1.5, None]})
ENTITIES = [f"host-{n:04d}" for n in range(2500)]


def fill(store: SqliteStore, partition: Partition) -> None:
    opened = store.open(partition)
    opened.write_slots(SlotState(entity, float(n), entity.encode() * 3) for n, entity in enumerate(ENTITIES))
    letter = DeadLetter(partition, 5, 17, b"key", None, (("h", b"\xff"),), (0,), ("not_finite",), "why")
    opened.commit_checkpoint(CHECKPOINT, [], [letter], [])
    opened.add_control(CONTROL)
    opened.commit_alerts([OutboxEntry(f"{n}", "webhook", "alert", b"body" * n) for n in range(5)], Position(80), 11)
    first, second, third, *_ = opened.due("webhook", 0.0, 10)
    opened.settle(
        [
            (first, Attempt(Outcome.DELIVERED, "200"), 0.0),
            (second, Attempt(Outcome.RETRY, "503"), 50.0),
            (third, Attempt(Outcome.REFUSED, "400", "no"), 0.0),
        ]
    )
    opened.write_slots([SlotState(ENTITIES[0], 1e9, b"staged"), SlotState("staged", 1e9, b"staged")])
    opened.close()


def everything(store: SqliteStore, partition: Partition) -> list[object]:
    opened = store.open(partition)
    found: list[object] = [
        opened.checkpoint(),
        opened.alerts_through(),
        list(opened.directory()),
        opened.read_slots([*ENTITIES, "staged"]),
        opened.controls(),
        [queued._replace(sequence=0) for queued in opened.due("webhook", 1e12, 10)],
        opened.backlog(),
        opened.dead_letters(),
    ]
    opened.close()
    return found


@pytest.fixture
def filled(store: SqliteStore, partition: Partition) -> SqliteStore:
    fill(store, partition)
    return store


@pytest.fixture
def exported(filled: SqliteStore, folder: Path, partition: Partition, tmp_path: Path) -> Path:
    file = tmp_path / "orders-3.export"
    export(folder, partition, file)
    return file


# --- export and import


def test_an_import_gives_back_all_that_was_exported(
    filled: SqliteStore, exported: Path, partition: Partition, tmp_path: Path
) -> None:
    assert import_(exported, tmp_path / "other") == partition
    other = SqliteStore(tmp_path / "other", keep_rejects=10)
    assert other.id != filled.id
    assert everything(other, partition) == everything(filled, partition)
    assert show(tmp_path / "other", partition).given_up == 1
    assert check(tmp_path / "other") == []
    assert sorted(file.name for file in (tmp_path / "other" / "orders").iterdir()) == ["3.lock", "3.sqlite"]


def test_an_imported_partition_goes_on(exported: Path, partition: Partition, tmp_path: Path) -> None:
    import_(exported, tmp_path / "other")
    opened = SqliteStore(tmp_path / "other", keep_rejects=10).open(partition)
    opened.write_slots([SlotState(ENTITIES[0], 5.0, b"next"), SlotState("new", 5.0, b"new")])
    assert opened.read_slots([ENTITIES[0], "new"]) == {ENTITIES[0]: ENTITIES[0].encode() * 3}
    opened.commit_checkpoint(CHECKPOINT, [], [], [])
    assert opened.read_slots([ENTITIES[0], "new"]) == {ENTITIES[0]: b"next", "new": b"new"}
    opened.close()


def test_an_empty_partition_can_be_moved_too(store: SqliteStore, folder: Path, tmp_path: Path) -> None:
    partition = Partition("été/%", 0)
    store.open(partition).close()
    export(folder, partition, tmp_path / "empty")
    assert import_(tmp_path / "empty", tmp_path / "other") == partition
    opened = SqliteStore(tmp_path / "other", keep_rejects=10).open(partition)
    assert opened.checkpoint() is None
    assert opened.alerts_through() == (Position(0), 0)
    opened.close()


def test_an_export_does_not_overwrite(filled: SqliteStore, folder: Path, partition: Partition, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match="exists already"):
        export(folder, partition, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_import_overwrites_only_when_asked(exported: Path, partition: Partition, tmp_path: Path) -> None:
    other = SqliteStore(tmp_path / "other", keep_rejects=10)
    opened = other.open(partition)
    opened.commit_alerts([], Position(5000), 1)
    opened.close()
    with pytest.raises(StoreError, match="there is a store of orders/3 already"):
        import_(exported, tmp_path / "other")
    assert everything(other, partition)[1] == (Position(5000), 1)
    import_(exported, tmp_path / "other", overwrite=True)
    assert everything(other, partition)[1] == (Position(80), 11)


def test_an_import_replaces_a_damaged_file_with_its_leftovers(
    filled: SqliteStore, exported: Path, folder: Path, partition: Partition
) -> None:
    expected = everything(filled, partition)
    (folder / "orders" / "3.sqlite").write_bytes(b"damaged" * 1000)
    (folder / "orders" / "3.sqlite-wal").write_bytes(b"leftover" * 1000)
    (folder / "orders" / "3.import").write_bytes(b"leftover")
    import_(exported, folder, overwrite=True)
    assert everything(filled, partition) == expected
    assert sorted(file.name for file in (folder / "orders").iterdir()) == ["3.lock", "3.sqlite"]


def test_an_export_that_is_not_what_was_written_is_refused_and_leaves_nothing(exported: Path, tmp_path: Path) -> None:
    content = exported.read_bytes()
    random_ = random.Random(2)
    broken = [content[: random_.randrange(len(content))] for _ in range(20)]
    for _ in range(60):
        flipped = bytearray(content)
        flipped[random_.randrange(len(content))] ^= 1 << random_.randrange(8)
        broken.append(bytes(flipped))
    broken += [b"", content + b"x", b"anything\n" + content, content[:21] + content[21:40]]
    for number, wrong in enumerate(broken):
        file = tmp_path / "wrong"
        file.write_bytes(wrong)
        with pytest.raises((StoreDamagedError, StoreNewerError), match="wrong: "):
            import_(file, tmp_path / f"other-{number}")
        assert SqliteStore(tmp_path / f"other-{number}", keep_rejects=1).partitions() == []
        assert not list((tmp_path / f"other-{number}").glob("*/*.import*"))


def write_format(exported: Path, number: int) -> None:
    """Let an export say that it has another format."""
    exported.write_bytes(exported.read_bytes().replace(b"partition %d" % FORMAT, b"partition %d" % number, 1))


def test_a_newer_export_is_refused(exported: Path, tmp_path: Path) -> None:
    write_format(exported, FORMAT + 1)
    with pytest.raises(StoreNewerError, match=f"export format {FORMAT + 1}"):
        import_(exported, tmp_path / "other")


def test_an_older_export_is_refused(exported: Path, tmp_path: Path) -> None:
    write_format(exported, 1)
    with pytest.raises(StoreOlderError, match=r"export format 1.*with that version"):
        import_(exported, tmp_path / "other")


def test_a_failed_export_leaves_nothing(
    filled: SqliteStore, folder: Path, partition: Partition, tmp_path: Path
) -> None:
    file = folder / "orders" / "3.sqlite"
    file.write_bytes(file.read_bytes().replace(b"host-0007" * 3, b"host-0007" * 2 + b"host-0008"))
    before = set(tmp_path.iterdir())
    with pytest.raises(StoreDamagedError, match="host-0007"):
        export(folder, partition, tmp_path / "export")
    assert set(tmp_path.iterdir()) == before


def test_a_missing_export_is_explained(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere: cannot be used"):
        import_(tmp_path / "nowhere", tmp_path / "other")


# --- in use, or not there


def test_a_store_in_use_is_looked_at_and_exported_as_of_its_checkpoint(
    filled: SqliteStore, exported: Path, folder: Path, partition: Partition, tmp_path: Path
) -> None:
    opened = filled.open(partition)
    opened.write_slots([SlotState("staged", 1e9, b"staged")])
    assert check(folder) == []
    assert show(folder, partition).entities == len(ENTITIES)
    export(folder, partition, tmp_path / "another")
    assert (tmp_path / "another").read_bytes() == exported.read_bytes()
    opened.commit_checkpoint(CHECKPOINT, [], [], [])
    assert show(folder, partition).entities == len(ENTITIES) + 1
    opened.close()


def test_nothing_is_imported_over_a_store_in_use(
    filled: SqliteStore, exported: Path, folder: Path, partition: Partition
) -> None:
    opened = filled.open(partition)
    with pytest.raises(StoreLockedError):
        import_(exported, folder, overwrite=True)
    opened.close()
    assert check(folder) == []


def test_what_is_not_there_is_told(filled: SqliteStore, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no store of orders/4; it holds: orders/3"):
        show(folder, Partition("orders", 4))
    with pytest.raises(StoreError, match=r"holds no store \(no store\.json\)"):
        check(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


# --- check and show


def test_a_healthy_store_has_no_findings(filled: SqliteStore, folder: Path) -> None:
    assert check(folder) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"headerheader", b"headerHeader", "checkpoint"),
        (b"host-0007" * 3, b"host-0007" * 2 + b"host-0008", "slot of entity 'host-0007'"),
        (b'{"some":', b'{"sume":', "control record 0"),
        (b"bodybody", b"bodyBody", "outbox entry"),
        (b"orders", b"orderz", "head"),
        (b"SQLite format 3", b"SQLite format 4", "not a database"),
    ],
)
def test_damage_is_found_and_named(filled: SqliteStore, folder: Path, old: bytes, new: bytes, problem: str) -> None:
    file = folder / "orders" / "3.sqlite"
    content = file.read_bytes()
    assert old in content
    file.write_bytes(content.replace(old, new))
    findings = check(folder)
    assert any(problem in finding.problem for finding in findings)
    assert {finding.file for finding in findings} == {file}


def test_every_damaged_part_is_a_finding(filled: SqliteStore, folder: Path) -> None:
    file = folder / "orders" / "3.sqlite"
    file.write_bytes(file.read_bytes().replace(b"headerheader", b"headerHeader").replace(b"bodybody", b"bodyBody"))
    (folder / "store.json").write_text("{}")
    assert len(check(folder)) == 3


def test_a_damaged_dead_letter_is_told_of(filled: SqliteStore, folder: Path, partition: Partition) -> None:
    with contextlib.closing(sqlite3.connect(folder / "orders" / "3.sqlite")) as opened:
        opened.execute("UPDATE dead_letter SET headers = x'ff00'")
        opened.commit()
    (finding,) = check(folder)
    assert "a dead letter cannot be read" in finding.problem
    with pytest.raises(StoreDamagedError, match="a dead letter cannot be read"):
        dead_letters(folder, partition)


def test_a_newer_file_hides_no_damage_of_another(filled: SqliteStore, folder: Path) -> None:
    fill(filled, Partition("orders", 4))
    damaged, newer = folder / "orders" / "4.sqlite", folder / "orders" / "3.sqlite"
    damaged.write_bytes(damaged.read_bytes().replace(b"headerheader", b"headerHeader"))
    with contextlib.closing(sqlite3.connect(newer)) as sqlite:
        sqlite.execute("PRAGMA user_version = 99")
    findings = {finding.file: finding.problem for finding in check(folder)}
    assert "newer detector" in findings[newer]
    assert "checksum" in findings[damaged]


def test_damage_to_the_structure_is_found(filled: SqliteStore, folder: Path) -> None:
    file = folder / "orders" / "3.sqlite"
    content = bytearray(file.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 4096] = bytes(4096)
    file.write_bytes(content)
    assert check(folder)


def test_show_tells_what_a_partition_holds(filled: SqliteStore, folder: Path, partition: Partition) -> None:
    shown = show(folder, partition)
    assert (shown.partition, shown.checkpoint, shown.controls) == (partition, CHECKPOINT, [CONTROL])
    assert (shown.alerts_through, shown.alerts_through_block) == (Position(80), 11)
    assert (shown.entities, shown.oldest, shown.newest) == (2500, 0.0, 2499.0)
    assert (shown.given_up, shown.dead_letters) == (1, 1)
    assert shown.backlog["webhook"][::2] == (3, 4 * (1 + 3 + 4))
    assert shown.bytes == shown.file.stat().st_size


def test_looking_does_not_change_what_is_there(filled: SqliteStore, folder: Path, partition: Partition) -> None:
    file = folder / "orders" / "3.sqlite"
    content = file.read_bytes()
    check(folder)
    show(folder, partition)
    assert file.read_bytes() == content
