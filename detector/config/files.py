"""The files that a configuration names beside itself: secrets, certificates, templates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from detector.config.document import Path as Place
from detector.config.section import Section


def named(value: object, path: Place = ()) -> Iterator[tuple[Place, Path]]:
    """Yield the files that a part of the configuration names (`file`, `..._file`), with their places in it."""
    if isinstance(value, Section):
        for name in type(value).model_fields:
            inner = getattr(value, name)
            if isinstance(inner, Path) and (name == "file" or name.endswith("_file")):
                yield (*path, name), inner
            else:
                yield from named(inner, (*path, name))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from named(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from named(inner, (*path, number))


def digest(value: object) -> str:
    """Return a hash of what stands in those files, in which nothing of it can be read; OSError where one cannot be."""
    found = hashlib.sha256()
    for _, file in named(value):
        found.update(hashlib.sha256(file.read_bytes()).digest())
    return found.hexdigest()
