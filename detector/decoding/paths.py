"""Paths as the configuration writes them: `metrics.cpu`, `metrics."a.b"`, `$key`, `$headers.NAME`."""

from __future__ import annotations

import re
from typing import NamedTuple

from detector.errors import ConfigError
from detector.types import Record

# A name is quoted (\" and \\ stand for themselves) or plain; only a quoted one may hold a dot, a quote or be empty.
_NAME = re.compile(r'"((?:[^"\\]|\\["\\])*)"|([^."]+)')


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
    names = _names(text, place)
    if text == "$key":
        return RecordPath(None)
    if text.startswith("$headers."):
        if len(names) != 2:
            raise _refusal(text, place, "one header name behind `$headers.` (quote a name that holds dots)")
        return RecordPath(names[1])
    if text.startswith("$"):
        raise _refusal(text, place, "`$key` or `$headers.NAME` (quote a field whose name begins with `$`)")
    return FieldPath(names)


def parse_field(text: str, place: str) -> FieldPath:
    """Parse a path that must lead into the event. ConfigError where it does not."""
    path = parse(text, place)
    if isinstance(path, RecordPath):
        raise _refusal(text, place, "a path inside the event, since there the key and headers have no place")
    return path


def _names(text: str, place: str) -> tuple[str, ...]:
    names: list[str] = []
    at = 0
    while True:
        match = _NAME.match(text, at)
        if match is None:
            raise _refusal(text, place, f"a name at character {at + 1}: names are joined by single dots")
        quoted, plain = match.groups()
        names.append(plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        at = match.end()
        if at == len(text):
            return tuple(names)
        if text[at] != ".":
            raise _refusal(
                text, place, f'a dot at character {at + 1}, or the whole name in quotes, as in metrics."a.b"'
            )
        at += 1


def _refusal(text: str, place: str, expected: str) -> ConfigError:
    return ConfigError(f"{place}: the path {text!r} cannot be read; expected {expected}")
