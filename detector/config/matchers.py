"""Matchers on labels, in Alertmanager's syntax: `severity="critical"`, `entity=~"db-.*"`, `!=`, `!~`.

A label that is not there has the empty text as its value. Regular expressions are Python's, and match the whole value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, InstanceOf, PlainSerializer, WithJsonSchema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_SYNTAX = 'a matcher such as severity="critical", topic!=orders, entity=~"db-.*" or entity!~"test-.*"'
_QUOTED = r'"(?:[^"\\\n]|\\.)*"'
_PLAIN = r"""[^\s{}!=~,\\"'`]+"""
_MATCHER = re.compile(
    rf"\s*(?P<name>{_QUOTED}|{_PLAIN})\s*(?P<operator>=~|!~|!=|=)\s*(?P<value>{_QUOTED}|{_PLAIN}|)\s*"
)
_ESCAPES = re.compile(r"\\(.)", re.DOTALL)
_MEANT = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


class Operator(StrEnum):
    """How a label's value is compared."""

    EQUAL = "="
    NOT_EQUAL = "!="
    MATCHES = "=~"
    MATCHES_NOT = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on one label; ValueError where the value should be a regular expression and is none."""

    name: str
    operator: Operator
    value: str
    _pattern: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pattern = None
        if self.operator in {Operator.MATCHES, Operator.MATCHES_NOT}:
            try:
                pattern = re.compile(self.value)
            except re.error as error:
                message = f"`{self.value}` is no regular expression ({error})"
                raise ValueError(message) from None
        object.__setattr__(self, "_pattern", pattern)

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the labels meet the condition."""
        value = labels.get(self.name, "")
        met = value == self.value if self._pattern is None else self._pattern.fullmatch(value) is not None
        return met is not self._denies

    @property
    def positive(self) -> Matcher:
        """The same condition without its negation."""
        plain = Operator.EQUAL if self._pattern is None else Operator.MATCHES
        return replace(self, operator=plain) if self._denies else self

    @property
    def _denies(self) -> bool:
        return self.operator in {Operator.NOT_EQUAL, Operator.MATCHES_NOT}

    def __str__(self) -> str:
        name = self.name if re.fullmatch(_PLAIN, self.name) else _quote(self.name)
        return f"{name}{self.operator}{_quote(self.value)}"


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Return whether the labels meet every condition; none at all are met by anything."""
    return all(matcher.matches(labels) for matcher in matchers)


def parse(text: str) -> tuple[Matcher, ...]:
    """Read one or more matchers with commas between them, in braces or not; ValueError says what is wrong."""
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1]
    matchers: list[Matcher] = []
    at = 0
    while at < len(inner.rstrip()):
        found = _MATCHER.match(inner, at)
        if found is None or inner[found.end() : found.end() + 1] not in {"", ","}:
            message = f"expected {_SYNTAX}; found `{inner[at:].strip()}`"
            raise ValueError(message)
        matchers.append(Matcher(_unquote(found["name"]), Operator(found["operator"]), _unquote(found["value"])))
        at = found.end() + 1
    return tuple(matchers)


def _given(given: object) -> object:
    """Turn text, or a list of texts, into matchers."""
    items: Sequence[object] = given if isinstance(given, (list, tuple)) else [given]
    matchers: list[Matcher] = []
    for item in items:
        if isinstance(item, Matcher):
            matchers.append(item)
        elif isinstance(item, str):
            matchers += parse(item)
        else:
            message = f"expected {_SYNTAX}"
            raise ValueError(message)  # noqa: TRY004 - pydantic turns only ValueError into a located message
    return tuple(matchers)


def _unquote(text: str) -> str:
    if not text.startswith('"'):
        return text
    return _ESCAPES.sub(lambda found: _MEANT.get(found[1], found[0]), text[1:-1])


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


Matchers = Annotated[
    tuple[InstanceOf[Matcher], ...],
    BeforeValidator(_given),
    PlainSerializer(lambda matchers: [str(matcher) for matcher in matchers]),
    WithJsonSchema({"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]}),
]
"""Conditions that must all hold; text, or a list of texts."""
