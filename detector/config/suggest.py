"""What somebody meant: the nearest known name, and where a key belongs that stands in the wrong section."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from detector.config.document import item
from detector.config.sections import Config, Section


def nearest(given: str, known: Iterable[str]) -> str | None:
    """Return the known name most like the given one, or None where none is alike."""
    by_folded = {name.lower().replace("-", "_"): name for name in known}
    alike = get_close_matches(given.lower().replace("-", "_"), by_folded, n=1, cutoff=0.6)
    return by_folded[alike[0]] if alike else None


def elsewhere(given: str) -> list[str]:
    """Return the sections, as YAML paths, that do know a key of exactly this name."""
    return sorted({path for path, section in _sections(Config, "") if given in section.by_key()})


def section_at(path: Sequence[str | int], value: object) -> type[Section] | None:
    """Return the section that describes the mapping at `path` of `value`, choosing by `kind` where there are several.

    None where nothing known stands there; LookupError where `value` has no such path.
    """
    annotation: Any = Config
    for step in path:
        section = _choose(annotation, value)
        if section is not None:
            known = section.by_key().get(str(step))
            if known is None:
                return None
            annotation = known.annotation
        else:  # a list or a mapping of names: its items are the last argument
            annotation = next((get_args(part)[-1] for part in parts(annotation) if get_args(part)), None)
        value = item(value, step)
    return _choose(annotation, value)


def parts(annotation: Any) -> list[Any]:
    """Return the members of a union, without None and without what Annotated adds."""
    if get_origin(annotation) is Annotated:
        return parts(get_args(annotation)[0])
    if get_origin(annotation) in {Union, types.UnionType}:
        return [part for member in get_args(annotation) if member is not type(None) for part in parts(member)]
    return [annotation]


def kinds(annotation: Any) -> dict[str, type[Section]]:
    """Return the sections among a union's members, by their `kind` ("" for one that has none)."""
    found: dict[str, type[Section]] = {}
    for part in parts(annotation):
        if isinstance(part, type) and issubclass(part, Section):
            kind = part.model_fields.get("kind")
            literal = kind is not None and get_origin(kind.annotation) is Literal
            found[get_args(kind.annotation)[0] if kind is not None and literal else ""] = part
    return found


def _choose(annotation: Any, value: object) -> type[Section] | None:
    sections = kinds(annotation)
    if len(sections) == 1:
        return next(iter(sections.values()))
    return sections.get(str(value.get("kind"))) if isinstance(value, dict) else None


def _sections(section: type[Section], path: str) -> Iterator[tuple[str, type[Section]]]:
    yield path, section
    for name, known in section.by_key().items():
        inside = f"{path}.{name}" if path else name
        for member in parts(known.annotation):
            inner = get_args(member)[-1] if get_origin(member) in {list, dict} else member
            for below in kinds(inner).values():
                yield from _sections(below, inside)
