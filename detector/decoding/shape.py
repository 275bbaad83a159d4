"""A JSON event as msgspec types, made from the configured paths: a strict one for speed, a lenient one for reasons.

The strict type has a float for every feature, so one parse yields numbers and nothing else; any value of another
type fails the whole event. The lenient one keeps each value's bytes, to be read one by one: `Shape.careful` makes of
them the same strict event, with the values that failed marked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from operator import attrgetter
from typing import Any, TypeAlias

import msgspec

from detector.decoding.paths import FieldPath
from detector.decoding.plan import Plan

Event: TypeAlias = Any  # a msgspec.Struct made at run time


class Kind(Enum):
    """What stands at a path: its type and the value where it is missing."""

    NUMBER = (float | None, math.nan)
    NAME = (str | int | None, None)
    TEXT = (str | None, None)
    ANY = (Any, None)

    def __init__(self, kind: Any, missing: float | None) -> None:
        self.missing = missing
        self.decoder = msgspec.json.Decoder(kind)
        self.type = kind


@dataclass(frozen=True, slots=True)
class Leaf:
    """A value: its kind, and the column of the feature that it is (None = it is none)."""

    kind: Kind
    column: int | None


@dataclass(slots=True)
class Shape:
    """An object of the event: attribute by attribute the name in the document and what stands there."""

    children: dict[str, tuple[str, Leaf | Shape]] = field(default_factory=dict)
    strict: type[msgspec.Struct] = msgspec.Struct
    lenient: msgspec.json.Decoder[Any] = field(default_factory=msgspec.json.Decoder)

    def seal(self) -> None:
        """Make the types, from the inside out."""
        rename = {}
        strict: list[tuple[str, Any, Any]] = []
        lenient: list[tuple[str, Any, Any]] = []
        for attribute, (name, child) in self.children.items():
            rename[attribute] = name
            lenient.append((attribute, msgspec.Raw | msgspec.UnsetType, msgspec.UNSET))
            if isinstance(child, Leaf):
                strict.append((attribute, child.kind.type, child.kind.missing))
            else:
                child.seal()
                strict.append((attribute, child.strict, msgspec.field(default_factory=child.strict)))
        self.strict = msgspec.defstruct("Event", strict, rename=rename, gc=False)
        self.lenient = msgspec.json.Decoder(msgspec.defstruct("RawEvent", lenient, rename=rename, gc=False))

    def careful(self, document: bytes | msgspec.Raw, wrong: list[int]) -> Event:
        """Read an object value by value; the columns of features that are not numbers are added to `wrong`.

        A number beyond float64 becomes infinite; any other value that does not fit is as if it were missing.
        Raises msgspec.DecodeError where the document is not JSON, its ValidationError where it is no object.
        """
        raw = self.lenient.decode(document)
        given = {}
        for attribute, (_, child) in self.children.items():
            value = getattr(raw, attribute)
            if value is msgspec.UNSET:
                continue
            if isinstance(child, Leaf):
                given[attribute] = _careful_value(child, value, wrong)
            elif first_byte(value) == b"{":
                given[attribute] = child.careful(value, wrong)
        return self.strict(**given)


def _careful_value(leaf: Leaf, value: msgspec.Raw, wrong: list[int]) -> object:
    try:
        return leaf.kind.decoder.decode(value)
    except (msgspec.MsgspecError, ValueError):
        if leaf.kind is not Kind.NUMBER:
            return leaf.kind.missing
    if first_byte(value) in b"-0123456789":
        return math.inf
    if leaf.column is not None:
        wrong.append(leaf.column)
    return math.nan


def first_byte(document: bytes | msgspec.Raw) -> bytes:
    """Return the byte that tells what a JSON value is: an object, an array, text, a number or a word."""
    return bytes(document).lstrip(b" \t\r\n")[:1]


@dataclass(frozen=True, slots=True)
class Layout:
    """The shape of an event, and where in it (as attrgetter has it) each thing stands that rows are made of."""

    shape: Shape
    features: tuple[str, ...]
    entity: str | None
    time: str | None
    where: tuple[str, ...]


def lay_out(plan: Plan) -> Layout:
    """Make the shape of the plan's events."""
    root = Shape()
    columns = [n for n, path in enumerate(plan.features) if isinstance(path, FieldPath)]
    features = tuple(
        _place(root, path, Leaf(Kind.NUMBER, column)) for column, path in zip(columns, plan.feature_fields, strict=True)
    )
    entity = time = None
    if plan.time_field is not None:
        kind = Kind.TEXT if plan.unit == "rfc3339" else Kind.NUMBER
        time = _place(root, plan.time_field, Leaf(kind, None))
    if plan.entity_field is not None:
        entity = _place(root, plan.entity_field, Leaf(Kind.NAME, None))
    where = tuple(_place(root, path, Leaf(Kind.ANY, None)) for path, _ in plan.where)
    root.seal()
    return Layout(root, features, entity, time, where)


def lay_out_labels(plan: Plan) -> tuple[Shape, dict[FieldPath, attrgetter[Any]]]:
    """Make the shape of events as those see them who look for labels, and what finds each in it."""
    root = Shape()
    paths = dict.fromkeys(path for _, path in plan.labels if isinstance(path, FieldPath))
    places = {path: attrgetter(_place(root, path, Leaf(Kind.ANY, None))) for path in paths}
    root.seal()
    return root, places


class ArrayPlace:
    """A document that holds an array of events at a path."""

    def __init__(self, path: FieldPath, event: type[msgspec.Struct]) -> None:
        kind: Any = list[event] | msgspec.UnsetType  # type: ignore[valid-type]  # the event's type is made at run time
        default: Any = msgspec.UNSET
        self._levels: list[msgspec.json.Decoder[Any]] = []
        for name in reversed(path.names):
            rename = {"inner": name}
            raw = ("inner", msgspec.Raw | msgspec.UnsetType, msgspec.UNSET)
            self._levels.insert(0, msgspec.json.Decoder(msgspec.defstruct("RawDocument", [raw], rename=rename)))
            kind = msgspec.defstruct("Document", [("inner", kind, default)], rename=rename, gc=False)
            default = msgspec.field(default_factory=kind)
        self.document: type[msgspec.Struct] = kind
        self.get = attrgetter(".".join("inner" for _ in path.names))

    def careful(self, document: bytes) -> msgspec.Raw | None:
        """Return the bytes of the array; None where there is none. DecodeError where the document is not JSON."""
        raw = msgspec.json.decode(document, type=msgspec.Raw)
        for level in self._levels:
            if first_byte(raw) != b"{":
                return None
            raw = level.decode(raw).inner
            if raw is msgspec.UNSET:
                return None
        return raw if first_byte(raw) == b"[" else None


def _place(shape: Shape, path: FieldPath, leaf: Leaf) -> str:
    """Put a leaf into the shape and return its place; a path given twice is one leaf."""
    attributes = []
    for depth, name in enumerate(path.names, start=1):
        attribute = next((a for a, (known, _) in shape.children.items() if known == name), f"f{len(shape.children)}")
        attributes.append(attribute)
        child = shape.children.setdefault(attribute, (name, leaf if depth == len(path.names) else Shape()))[1]
        # That paths go together `config/events.py` has seen to.
        assert isinstance(child, Leaf) == (depth == len(path.names)), path
        if isinstance(child, Shape):
            shape = child
        else:
            assert leaf.kind in (child.kind, Kind.ANY), path
    return ".".join(attributes)
