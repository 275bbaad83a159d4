"""YAML text as plain values, with the line of every path: what `load.py` needs to name places in its errors.

Beyond PyYAML's safe loader it refuses a key given twice, tags, merge keys, and aliases that multiply without bound.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import yaml

from detector.config.secrecy import MASK
from detector.errors import ConfigError

Path = tuple[str | int, ...]

_MOST_NODES = 100_000
_MOST_DEPTH = 64
# `'` itself is what PyYAML quotes as "'"; a single character is its punctuation, and no secret.
_QUOTED = re.compile(r""" "'" | '(\\?[^'])?' | (?P<long>'[^']*') """, re.VERBOSE)
_CORE = "tag:yaml.org,2002:"
# Times are read where they are used (YAML's own lose the offset from UTC); the last two are `=` and `<<` as values.
_AS_TEXT = {"timestamp", "value", "merge"}
_KINDS = {"map", "seq", "str", "int", "float", "bool", "null"} | _AS_TEXT


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at a place of the file; `text` says what was found and what was expected."""

    line: int
    path: Path
    text: str


@dataclass(slots=True)
class Document:
    """A file's values (mappings, lists and scalars), the line of each path, and what is wrong with it so far."""

    value: object
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """Return the line of a path, or of the nearest mapping or list around it."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)

    def found(self, path: Path) -> object:
        """Return the value at a path; LookupError where there is none."""
        value = self.value
        for step in path:
            value = item(value, step)
        return value


def dotted(path: Path) -> str:
    """Return a path as errors show it: sinks[0].url."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def item(value: object, step: str | int) -> object:
    """Return what a mapping holds under a name, or a list at a number; LookupError where it holds nothing there."""
    if isinstance(value, list) and isinstance(step, int):
        in_list: object = value[step]
        return in_list
    if isinstance(value, dict):
        in_mapping: object = value[step]
        return in_mapping
    raise LookupError(step)


def read(text: str, name: str, interpolate: Callable[[str], str]) -> Document:
    """Read YAML text; ConfigError where it is not YAML at all.

    `interpolate` is applied to each scalar that is text, and raises ValueError to report a problem there. What it
    changes stays text, whatever it looks like; an unquoted scalar that it makes empty is null, as YAML's own is.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}: " if mark else f"{name}: "
        said = ", ".join(part for part in (error.context, error.problem) if part)
        # PyYAML quotes names of aliases and tags: an unquoted secret that begins with * or ! would be printed.
        message = f"{place}not valid YAML: {_QUOTED.sub(_unless_long, said)}"
        if mark and "${" in "".join(text.splitlines()[mark.line : mark.line + 1]):
            message += "; inside [ ] or { }, put ${...} in quotes"
        raise ConfigError(message) from None
    except (yaml.YAMLError, RecursionError) as error:
        said = "nested too deeply" if isinstance(error, RecursionError) else " ".join(str(error).split())
        message = f"{name}: not valid YAML: {said}"
        raise ConfigError(message) from None
    reader = _Reader(interpolate)
    reader.document.value = None if node is None else reader.value(node, ())
    return reader.document


def _unless_long(quoted: re.Match[str]) -> str:
    return MASK if quoted["long"] else quoted[0]


class _Reader:
    def __init__(self, interpolate: Callable[[str], str]) -> None:
        self.document = Document(None)
        self._interpolate = interpolate
        self._scalars = yaml.constructor.SafeConstructor()
        self._nodes = 0

    def value(self, node: yaml.Node, path: Path) -> object:
        line = node.start_mark.line + 1
        self.document.lines.setdefault(path, line)
        self._nodes += 1
        if self._nodes > _MOST_NODES or len(path) > _MOST_DEPTH:
            if self._nodes <= _MOST_NODES + 1:
                self._nodes = _MOST_NODES + 1  # say it once
                self._refuse(
                    line, path[:3], f"more than {_MOST_NODES} values or {_MOST_DEPTH} levels: check its aliases"
                )
            return None
        if node.tag.removeprefix(_CORE) not in _KINDS:
            self._refuse(line, path, "YAML tags are not allowed; put text that begins with `!` in quotes")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, number)) for number, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        values: dict[str, object] = {}
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(line, path, "expected a name as the key")
            elif key.value == "<<" and key.style is None:
                self._refuse(line, (*path, "<<"), "merge keys are not supported; write the keys out")
            elif key.value in values:
                first = self.document.lines[*path, key.value]
                self._refuse(line, (*path, key.value), f"given twice (first in line {first}); remove one")
            else:
                self.document.lines[*path, key.value] = line
                values[key.value] = self.value(item, (*path, key.value))
        return values

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> object:
        kind = node.tag.removeprefix(_CORE)
        if kind == "str":
            try:
                text = self._interpolate(node.value)
            except ValueError as error:
                self._refuse(node.start_mark.line + 1, path, str(error))
                return node.value
            return None if text == "" and node.style is None else text
        if kind in _AS_TEXT:
            return node.value
        try:
            value: object = self._scalars.construct_object(node)
        except (ValueError, yaml.YAMLError):
            self._refuse(node.start_mark.line + 1, path, f"cannot be read as {kind}; put it in quotes if it is text")
            return None
        return value

    def _refuse(self, line: int, path: Path, text: str) -> None:
        self.document.problems.append(Problem(line, path, text))
