"""Pydantic's errors in the words of the configuration: YAML path, what was found, what was expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from detector.config.document import Document, Path, Problem, item
from detector.config.secrecy import MASK, is_secret, shown_url
from detector.config.sections import Sink, Source
from detector.config.suggest import elsewhere, kinds, nearest, section_at

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# What each kind of error expected, filled in from the error's own context; a kind that is not here keeps its own text.
_EXPECTED = {
    "literal_error": "{expected}",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text (in quotes where it looks like a number)",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "path_type": "a path",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "too_short": "at least {min_length} item(s)",
    "too_long": "at most {max_length} item(s)",
    "string_too_short": "at least {min_length} character(s)",
    "string_too_long": "at most {max_length} character(s)",
}


def problems(error: ValidationError, document: Document) -> list[Problem]:
    """Return what is wrong as problems of the document, one a path; the members of a union are told together."""
    texts: dict[Path, str] = {}
    expected: dict[Path, list[str]] = {}
    for detail in error.errors(include_url=False, include_input=False):
        path = _path(detail, document)
        wanted = _expected(detail)
        if wanted is None:
            texts.setdefault(path, _text(detail, path, document))
        elif wanted not in expected.setdefault(path, []):
            expected[path].append(wanted)
    for path, all_wanted in expected.items():
        inside = not {"a mapping", "a list"}.isdisjoint(all_wanted)
        texts.setdefault(path, f"found {_shown(path, document, inside=inside)}, expected {' or '.join(all_wanted)}")
    return [Problem(document.line(path), path, text) for path, text in texts.items()]


def _path(detail: ErrorDetails, document: Document) -> Path:
    """Leave out of pydantic's location what is no key of the file: kinds and members of unions, our own wraps."""
    path: Path = ()
    value = document.value
    for number, step in enumerate(detail["loc"]):
        if _is_union(path) and number == len(path) and isinstance(value, dict) and value.get("kind") == step:
            continue
        try:
            value = item(value, step)
        except LookupError:
            if detail["type"] != "missing" or number != len(detail["loc"]) - 1:
                continue
        path = (*path, step)
    return path


def _is_union(path: Path) -> bool:
    return path == ("source",) or (len(path) == 2 and path[0] == "sinks")


def _expected(detail: ErrorDetails) -> str | None:
    """Return what was expected, or None for errors that do not read "found ..., expected ..."."""
    if detail["type"] in _EXPECTED:
        return _EXPECTED[detail["type"]].format(**detail.get("ctx", {}))
    text = str(detail["ctx"]["error"]) if detail["type"] == "value_error" else ""
    return text.removeprefix("expected ") if text.startswith("expected ") else None


def _text(detail: ErrorDetails, path: Path, document: Document) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return _unknown_key(path, document)
        case "missing":
            return f"is missing{_meaning(path, document)}"
        case "union_tag_not_found" | "union_tag_invalid":
            return _unknown_kind(path, document)
        case "value_error":
            return str(detail["ctx"]["error"])
    return detail["msg"]


def _unknown_key(path: Path, document: Document) -> str:
    key = str(path[-1])
    section = section_at(path[:-1], document.value)
    known = list(section.by_key()) if section else []
    alike = nearest(key, known)
    if alike:
        return f"unknown key, did you mean `{alike}`?"
    places = [f"`{place}`" if place else "the top level" for place in elsewhere(key)]
    if places:
        return f"unknown key here; it belongs to {' or '.join(places)}"
    return f"unknown key; known here: {', '.join(f'`{name}`' for name in known)}"


def _unknown_kind(path: Path, document: Document) -> str:
    known = list(kinds(Source if path == ("source",) else Sink))
    expected = f"expected one of {', '.join(f'`{kind}`' for kind in known)}"
    value = document.found(path)
    given = value.get("kind") if isinstance(value, dict) else None
    if given is None:
        return f"`kind` is missing, {expected}"
    alike = nearest(str(given), known)
    return f"found kind `{given}`, {expected}" + (f"; did you mean `{alike}`?" if alike else "")


def _meaning(path: Path, document: Document) -> str:
    section = section_at(path[:-1], document.value)
    field = section.by_key().get(str(path[-1])) if section else None
    return f": {' '.join(field.description.split())}" if field and field.description else ""


def _shown(path: Path, document: Document, *, inside: bool) -> str:
    """Return the value at a path as an error may print it; where keys belong `inside`, plain text may hold secrets."""
    value = document.found(path)
    if isinstance(value, (dict, list)):
        return f"a list of {len(value)}" if isinstance(value, list) else "a mapping"
    if value is None or inside:
        return "nothing" if value is None else "a plain value"
    if any(isinstance(step, str) and (is_secret(step) or step == "headers") for step in path):
        return MASK
    if "url" in str(path[-1]):
        return f"`{shown_url(str(value))}`"
    text = str(value).lower() if isinstance(value, bool) else " ".join(str(value).split())
    return f"`{text[:77]}...`" if len(text) > 80 else f"`{text}`"
