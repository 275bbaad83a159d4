"""Avro schemas as fastavro reads by them, refused where data could make the reader run away."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

Schema: TypeAlias = Any  # parsed by fastavro
Named: TypeAlias = dict[str, Any]

_EMPTY = "null"
_PRIMITIVE = {_EMPTY, "boolean", "int", "long", "float", "double", "bytes", "string"}
_RECORDS = ("record", "error")


class SchemaError(ValueError):
    """The schema cannot be used; the text says why."""


def parse(text: str, named: Named) -> Schema:
    """Parse a schema whose references are in `named`, to which its own types are added. SchemaError."""
    try:
        schema = fastavro.parse_schema(json.loads(text), named)
    except (SchemaParseException, UnknownType, ValueError, LookupError, TypeError, RecursionError) as error:
        message = f"it cannot be parsed as Avro: {type(error).__name__}: {error}"
        raise SchemaError(message) from None
    # Only a record can carry the types that it refers to; elsewhere the reader would not find them.
    return [_definition(branch, named) for branch in schema] if isinstance(schema, list) else _definition(schema, named)


def check(schema: Schema, named: Named, above: tuple[str, ...] = ()) -> None:
    """Refuse what data could abuse, since fastavro reads in C without bounds of its own. SchemaError.

    A type that holds itself nests as deep as the data say, until the process dies of it; an array of items without
    bytes is as long as a counter says.
    """
    schema = _definition(schema, named)
    if isinstance(schema, str):
        return
    kind = "union" if isinstance(schema, list) else schema["type"]
    if kind in _RECORDS:
        if schema["name"] in above:
            message = f"its type {schema['name']} holds itself, so that data may nest without bounds"
            raise SchemaError(message)
        above = (*above, schema["name"])
    if kind == "array" and _takes_no_bytes(schema["items"], named):
        message = "it has an array of items that take no bytes, so that data may hold any number of them"
        raise SchemaError(message)
    for part in _parts(schema):
        check(part, named, above)


def _parts(schema: Schema) -> list[Schema]:
    if isinstance(schema, list):
        return schema
    match schema["type"]:
        case "record" | "error":
            return [part["type"] for part in schema["fields"]]
        case "array":
            return [schema["items"]]
        case "map":
            return [schema["values"]]
        case "enum" | "fixed":
            return []
        case inner:
            return [] if inner in _PRIMITIVE else [inner]


def _definition(schema: Schema, named: Named) -> Schema:
    return named.get(schema, schema) if isinstance(schema, str) else schema


def _takes_no_bytes(schema: Schema, named: Named, above: tuple[str, ...] = ()) -> bool:
    schema = _definition(schema, named)
    if isinstance(schema, str):
        return schema == _EMPTY
    if isinstance(schema, list):
        return False
    if schema["type"] in _RECORDS:
        inside = (*above, schema["name"])
        return schema["name"] not in above and all(_takes_no_bytes(f["type"], named, inside) for f in schema["fields"])
    if schema["type"] == "fixed":
        return bool(schema["size"] == 0)
    return schema["type"] not in ("array", "map", "enum") and _takes_no_bytes(schema["type"], named, above)
