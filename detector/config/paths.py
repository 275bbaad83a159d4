"""Paths into a record, as the configuration writes them: `metrics.cpu`, `metrics."a.b"`, `$key`, `$headers.NAME`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator

# A name is quoted (\" and \\ stand for themselves) or plain; only a quoted one may hold a dot, a quote or be empty.
_NAME = re.compile(r'"((?:[^"\\]|\\["\\])*)"|([^."]+)')

Place = Literal["event", "key", "header"]
"""Where a path leads: into the event, or to the key or a header of the record around it."""


def split(text: str) -> tuple[Place, tuple[str, ...]]:
    """Return where a path leads and the names on it, from the outside in (a header's own); ValueError if it is none."""
    names = _names(text)
    if text == "$key":
        return "key", ()
    if text.startswith("$headers."):
        if len(names) != 2:
            message = "expected one header name behind `$headers.` (quote a name that holds dots)"
            raise ValueError(message)
        return "header", names[1:]
    if text.startswith("$"):
        message = "expected `$key` or `$headers.NAME` (quote a field whose name begins with `$`)"
        raise ValueError(message)
    return "event", names


def split_field(text: str) -> tuple[str, ...]:
    """Return the names of a path that must lead into the event; ValueError if it does not."""
    place, names = split(text)
    if place != "event":
        message = "expected a path inside the event, since there the key and headers have no place"
        raise ValueError(message)
    return names


def clash(read: Iterable[tuple[str, str | None]]) -> str | None:
    """Say why paths cannot be read from one JSON document, or return None where they can.

    With each path goes what it is read as ("a number"); None = whatever stands there.
    """
    known: dict[tuple[str, ...], str | None] = {}
    for text, kind in read:
        place, names = split(text)
        if place != "event":
            continue
        other = known.get(names)
        if kind is not None and other is not None and kind != other:
            return f"the path `{text}` is read as {kind} and as {other}; change one"
        known[names] = other or kind
    inner = {names[:depth]: names for names in known for depth in range(1, len(names))}
    for names in known:
        if names in inner:
            shown, longer = ".".join(names), ".".join(inner[names])
            return f"`{shown}` would have to be a value, and an object for `{longer}`; change one of the paths"
    return None


def odd_name(text: str) -> str | None:
    """Return the name on a path that no JSON decoder here can look for, or None."""
    return next((name for name in split(text)[1] if any(c in '"\\' or c < " " for c in name)), None)


def _names(text: str) -> tuple[str, ...]:
    names: list[str] = []
    at = 0
    while True:
        match = _NAME.match(text, at)
        if match is None:
            message = f"expected a name at character {at + 1}: names are joined by single dots"
            raise ValueError(message)
        quoted, plain = match.groups()
        names.append(plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        at = match.end()
        if at == len(text):
            return tuple(names)
        if text[at] != ".":
            message = f'expected a dot at character {at + 1}, or the whole name in quotes, as in metrics."a.b"'
            raise ValueError(message)
        at += 1


def _path(given: str) -> str:
    split(given)
    return given


def _field_path(given: str) -> str:
    split_field(given)
    return given


PathText = Annotated[str, AfterValidator(_path)]
"""A path to a field of the event, the record's key or a header."""

FieldPathText = Annotated[str, AfterValidator(_field_path)]
"""A path to a field of the event."""
