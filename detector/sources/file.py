"""A file of JSON lines as a source of events, read once to its end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import BinaryIO

from detector.config.sections import FileSource as Section
from detector.errors import LogChangedError, SourceError
from detector.protocols import Assignment
from detector.types import Batch, LogFacts, Partition, PlainRecord, Position

_LINES = 4096


class FileSource:
    """One partition: a line is a record, its number (from 0) the offset. See `protocols.Source`.

    Lines have no timestamp of their own (-1), so nothing is too old or too far ahead, and an event needs its time in
    a field. Empty lines are passed over; they count as offsets. What is appended after the end was reached is read
    by the next run.
    """

    def __init__(self, config: Section) -> None:
        self._path = config.path
        self.partition = Partition(config.topic or config.path.stem, 0)
        self._assignment: Assignment | None = None
        self._file: BinaryIO | None = None
        self._next = 0
        self._paused = False
        self._at_end = False

    @property
    def exhausted(self) -> bool:
        """True once the last line has been handed out."""
        return self._at_end

    @property
    def replayable(self) -> bool:
        """A file can be read again."""
        return True

    def start(self, assignment: Assignment) -> None:
        """Remember whom to tell; the file is opened inside the first `poll`."""
        self._assignment = assignment

    def poll(self, timeout: float) -> Sequence[Batch]:  # noqa: ARG002 - a file never makes one wait
        """Return the next lines; SourceError where the file cannot be read, LogChangedError where it has shrunk."""
        try:
            if self._file is None:
                self._open()
            return [] if self._paused or self._at_end else self._read()
        except OSError as error:
            message = f"source.path: {self._path} cannot be read ({error.strerror}); expected a file of JSON lines"
            raise SourceError(message) from error

    def pause(self) -> None:
        """Hand out no more lines."""
        self._paused = True

    def resume(self) -> None:
        """Undo `pause`."""
        self._paused = False

    def commit(self, positions: dict[Partition, Position], store_id: str) -> None:
        """Do nothing: the checkpoint alone knows how far a file was read."""

    def close(self) -> None:
        """Revoke the partition and close the file. Closing twice is harmless."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
            assert self._assignment is not None
            self._assignment.revoked(self.partition)

    def _open(self) -> None:
        assert self._assignment is not None
        file = self._path.open("rb")
        try:
            position = self._assignment.assigned(self.partition, LogFacts())
        except BaseException:
            file.close()
            raise
        self._file = file
        if position is not None:
            self._skip(file, position.offset)

    def _skip(self, file: BinaryIO, lines: int) -> None:
        for self._next in range(lines):
            if not file.readline():
                message = (
                    f"{self._path} holds {self._next} lines, but the checkpoint is at line {lines}:"
                    " it is another file, or was cut; source.topic gives another file a state of its own"
                )
                raise LogChangedError(message)
        self._next = lines

    def _read(self) -> list[Batch]:
        assert self._file is not None
        first = self._next
        lines = list(islice(self._file, _LINES))
        self._next += len(lines)
        self._at_end = len(lines) < _LINES
        records = [
            PlainRecord(offset, -1, None, text)
            for offset, line in enumerate(lines, first)
            if (text := line.rstrip(b"\r\n")).strip()
        ]
        end = self._next if self._at_end else -1
        return [Batch(self.partition, records, self._next, end)] if lines else []
