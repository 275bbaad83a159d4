"""What a new configuration changes in a running daemon: at once, at the next boundary, or not before a restart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from detector.config.section import Section
from detector.config.sections import Config

_AT_ONCE = (
    "absence.idle_after",
    "dead_letters.max_bytes",
    "http.reload_token",
    "log",
    "mute_times",
    "notification",
    "outbox",
    "preset",  # the defaults of `model` that it stands for are judged as part of `model`
    "routes",
    "sinks",
)
_AT_BOUNDARY = ("absence", "alerting", "blocks", "entities", "events", "incidents", "learning", "model")
"""The sections of which `config.detection.Detection` is made."""

_NOT_LIVE = {
    "source": "events are read from it since the daemon started",
    "kafka": "the connections to the cluster were made with it when the daemon started",
    "events.registry": "the connections to the registry were made with it when the daemon started",
    "refit": "the windows of rows were laid out by it when the partitions were taken over",
    "dead_letters": "the store was opened by it when the daemon started",
    "checkpoint": "the writer of the store was set up by it when the daemon started",
    "store": "the state in use is there",
    "http": "the daemon listens there already",
}


class Changes(NamedTuple):
    """Paths of what differs: settings by their dotted paths, items of a list that have names by those.

    not_live  what cannot change in a running daemon, with why
    """

    at_once: list[str]
    at_boundary: list[str]
    not_live: dict[str, str]


def compare(old: Config, new: Config) -> Changes:
    """Tell what is different in a new configuration. No value is told: it may be a secret."""
    changes = Changes([], [], {})
    for path in _differences(old, new, ""):
        if _under(path, _AT_ONCE):
            changes.at_once.append(path)
        elif (known := _under(path, _NOT_LIVE)) is not None:
            changes.not_live[path] = _NOT_LIVE[known]
        else:
            assert _under(path, _AT_BOUNDARY), f"{path}: nobody has said when it may change"
            changes.at_boundary.append(path)
    return changes


def _under(path: str, known: tuple[str, ...] | dict[str, str]) -> str | None:
    """Return which of some paths is this one, or holds it."""
    return next((each for each in known if path == each or path.startswith(each + ".")), None)


def _differences(old: object, new: object, path: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, Section) and type(old) is type(new):
        for name in type(old).model_fields:
            yield from _differences(getattr(old, name), getattr(new, name), f"{path}.{name}".removeprefix("."))
        return
    before, after = _named(old), _named(new)
    if before is None or after is None or (before.keys() == after.keys() and list(before) != list(after)):
        yield path
        return
    for name in dict.fromkeys((*before, *after)):
        if name in before and name in after:
            yield from _differences(before[name], after[name], f"{path}.{name}")
        else:
            yield f"{path}.{name}"


def _named(value: object) -> dict[str, object] | None:
    """Return the items of a list by their names; None where it is no such list."""
    if not isinstance(value, list) or not all(isinstance(item, Section) and hasattr(item, "name") for item in value):
        return None
    by_name = {str(item.name): item for item in value}
    return by_name if len(by_name) == len(value) else None
