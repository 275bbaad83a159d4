"""The JSON Schema of the configuration, for editors: it follows what `load.py` accepts, not only what comes out."""

from __future__ import annotations

from typing import Any

from detector.config.sections import Config

_REFERENCE = {"type": "string", "pattern": r"\$\{"}
_NOT_TEXT = {"integer", "number", "boolean"}


def schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12). A `${NAME}` may stand for a number, a truth value or one of several words."""
    whole = Config.model_json_schema()
    definitions: dict[str, Any] = whole["$defs"]
    for section in definitions.values():
        if "const" in section.get("properties", {}).get("kind", {}):
            section["required"] = ["kind", *section.get("required", [])]
    definitions["Secret"] = _or_text(definitions["Secret"])
    features = definitions["Events"]["properties"]["features"]
    features["items"] = _or_text(features["items"])
    properties: dict[str, Any] = whole["properties"]
    for name, value in properties.items():
        if name not in whole["required"]:  # nothing but comments under it means its defaults
            properties[name] = {"anyOf": [_or_reference(value), {"type": "null"}]}
    for section in definitions.values():
        for name, value in section.get("properties", {}).items():
            section["properties"][name] = _or_reference(value)
    secrets = definitions["WebhookSink"]["properties"]["secrets"]
    secrets["items"] = {"anyOf": [secrets["items"], {"type": "null"}]}
    return {**whole, "$schema": "https://json-schema.org/draft/2020-12/schema", "title": "detector"}


def _or_text(value: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [value, {"type": "string"}]}


def _or_reference(value: dict[str, Any]) -> dict[str, Any]:
    kinds = [value, *value.get("anyOf", [])]
    if not any(kind.get("type") in _NOT_TEXT or "enum" in kind for kind in kinds):
        return value
    described: dict[str, Any] = {key: value[key] for key in ("title", "description", "default") if key in value}
    rest = {key: item for key, item in value.items() if key not in described}
    members = rest["anyOf"] if set(rest) == {"anyOf"} else [rest]
    return {**described, "anyOf": [*members, _REFERENCE]}
