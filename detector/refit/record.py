"""The last refit of a partition as a file beside its store, for people: rows, clusters, centroids. It is no state."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from detector.errors import StoreError
from detector.refit import wire
from detector.refit.values import Candidate, Parameters, Window

_ENTITIES = 50
"""Entities that are kept, those with the most rows."""


class Record(NamedTuple):
    """A refit: the entities ("" = the whole partition) with their windows and candidates, and the features' names."""

    features: list[str]
    entities: list[str]
    parameters: Parameters
    windows: list[Window]
    candidates: list[Candidate]


def encode(record: Record) -> bytes:
    """Return the bytes of a record: two messages of the refit's and the names, each behind its length."""
    order = sorted(range(len(record.entities)), key=lambda i: -len(record.windows[i].rows))[:_ENTITIES]
    names = "\x1e".join(["\x1f".join(record.features), "\x1f".join(record.entities[i] for i in order)]).encode()
    task = wire.task([record.windows[i] for i in order], record.parameters)
    answer = wire.answer([record.candidates[i] for i in order])
    return b"".join(len(part).to_bytes(8, "little") + part for part in (names, task, answer))


def decode(raw: bytes) -> Record:
    """Read what `encode` wrote; MalformedMessageError where it is something else."""
    parts: list[bytes] = []
    while raw:
        size = int.from_bytes(raw[:8], "little")
        parts.append(raw[8 : 8 + size])
        raw = raw[8 + size :]
    try:
        names, task, answer = parts
        features, entities = (part.split("\x1f") for part in names.decode().split("\x1e"))
    except ValueError as error:
        message = f"not a record of a refit: {error}"
        raise wire.MalformedMessageError(message) from error
    windows, parameters = wire.read_task(task)
    return Record(features, entities, parameters, windows, wire.read_answer(answer))


def write(file: Path, record: Record) -> None:
    """Put a record in the place of the last one, whole or not at all. OSError as it comes."""
    draft = file.with_suffix(".refit-draft")
    draft.write_bytes(encode(record))
    os.replace(draft, file)  # noqa: PTH105 - as one step


def read(file: Path) -> Record:
    """Read a partition's last refit; StoreError where there is none, or it is damaged."""
    try:
        return decode(file.read_bytes())
    except FileNotFoundError as error:
        message = f"{file}: no refit is kept there yet; ask for one: detector refit --wait"
        raise StoreError(message) from error
    except (OSError, wire.MalformedMessageError) as error:
        message = f"{file}: this record of a refit cannot be read ({error}); the next refit replaces it"
        raise StoreError(message) from error
