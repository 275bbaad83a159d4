from __future__ import annotations

from pathlib import Path

import pytest

from detector.config.sections import FileSource as Section
from detector.errors import LogChangedError, SourceError
from detector.sources.file import FileSource
from detector.types import Partition, PlainRecord, Position
from tests.support.assignment import Reader, RecordingAssignment


def read(path: Path, position: Position | None = None, topic: str | None = None) -> Reader:
    source = FileSource(Section(path=path, topic=topic))
    answers = {} if position is None else {source.partition: position}
    return Reader(source, RecordingAssignment(answers=answers))


def test_a_line_is_a_record_and_its_number_the_offset(tmp_path: Path) -> None:
    path = tmp_path / "plant.jsonl"
    path.write_bytes(b'{"a": 1}\r\n\n  \n{"a": 2}')
    reader = read(path)
    assert reader.turn()[0].end_offset == 4
    partition = Partition("plant", 0)
    assert reader.records[partition] == [
        PlainRecord(0, -1, None, b'{"a": 1}'),
        PlainRecord(3, -1, None, b'{"a": 2}'),
    ]
    assert reader.next[partition] == 4
    assert reader.source.exhausted


def test_a_file_may_go_by_another_name(tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    path.write_bytes(b"{}\n")
    reader = read(path, topic="plant")
    reader.turn()
    assert reader.assignment.owned == {Partition("plant", 0)}


def test_an_empty_file_is_exhausted_at_once(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.touch()
    reader = read(path)
    assert not reader.turn()
    assert reader.source.exhausted


def test_a_long_file_comes_in_bounded_batches(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    path.write_text("".join(f"{n}\n" for n in range(10_000)), encoding="ascii")
    reader = read(path)
    while not reader.source.exhausted:
        assert sum(len(batch.records) for batch in reader.turn()) <= 4096
    assert reader.values == [b"%d" % n for n in range(10_000)]


def test_what_was_appended_since_is_read_by_the_next_run(tmp_path: Path) -> None:
    path = tmp_path / "grows.jsonl"
    path.write_bytes(b"1\n2\n")
    reader = read(path)
    reader.turn()
    with path.open("ab") as file:
        file.write(b"3\n")
    again = read(path, Position(reader.next[Partition("grows", 0)]))
    again.turn()
    assert again.values == [b"3"]


def test_a_file_that_has_shrunk_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_bytes(b"1\n2\n")
    with pytest.raises(LogChangedError, match="holds 2 lines, but the checkpoint is at line 5"):
        read(path, Position(5)).turn()


def test_a_file_that_cannot_be_read_is_told_by_name(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"source\.path: .*missing\.jsonl cannot be read \(No such file or directory\)"
    ):
        read(tmp_path / "missing.jsonl").turn()
