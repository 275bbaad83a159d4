"""Paths as the configuration writes them: `metrics.cpu`, `metrics."a.b"`, `$key`, `$headers.NAME`."""

from __future__ import annotations

from typing import NamedTuple

from detector.config.paths import split, split_field
from detector.errors import ConfigError
from detector.types import Record


class FieldPath(NamedTuple):
    """A field of the event: names from the outside in."""

    names: tuple[str, ...]


class RecordPath(NamedTuple):
    """A part of the record around the event: its key where `header` is None, else the last header of that name."""

    header: str | None

    def read(self, record: Record) -> bytes | None:
        """Return the bytes; None where the record has none."""
        if self.header is None:
            return record.key
        found = None
        for name, value in record.headers or ():
            if name == self.header:
                found = value
        return found

    def text(self, record: Record) -> str | None:
        """Return the bytes as text; None where there are none or they are not UTF-8."""
        try:
            content = self.read(record)
            return None if content is None else content.decode()
        except UnicodeDecodeError:
            return None


Path = FieldPath | RecordPath


def parse(text: str, place: str) -> Path:
    """Parse a path; `place` is where the configuration has it. ConfigError where it is not one."""
    try:
        where, names = split(text)
    except ValueError as error:
        raise _refusal(text, place, error) from None
    match where:
        case "key":
            return RecordPath(None)
        case "header":
            return RecordPath(names[0])
        case "event":
            return FieldPath(names)


def parse_field(text: str, place: str) -> FieldPath:
    """Parse a path that must lead into the event. ConfigError where it does not."""
    try:
        return FieldPath(split_field(text))
    except ValueError as error:
        raise _refusal(text, place, error) from None


def _refusal(text: str, place: str, expected: ValueError) -> ConfigError:
    return ConfigError(f"{place}: the path {text!r} cannot be read; {expected}")
