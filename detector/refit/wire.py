"""How windows and candidates travel to the refit's process and back: arrays as NumPy writes them, and JSON. No pickle.

A message is an .npz archive: `head`, JSON as bytes; and for each array of a window or candidate those of all of them,
end to end, as `name`, and how long each is as `name.lengths`: thousands of slots are a handful of arrays.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from io import BytesIO
from typing import Any, TypeVar

import numpy as np

from detector.refit.values import Candidate, Parameters, Window

Item = TypeVar("Item", Window, Candidate)


class MalformedMessageError(ValueError):
    """What was read is no message, or not all of one."""


def task(windows: Sequence[Window], parameters: Parameters) -> bytes:
    """Return the message that asks for a candidate of each window."""
    return _pack(windows, Window, {"parameters": asdict(parameters)})


def read_task(raw: bytes) -> tuple[list[Window], Parameters]:
    """Read what `task` wrote; MalformedMessageError where it is something else."""
    head, windows = _unpack(raw, Window)
    return windows, Parameters(**head["parameters"])


def answer(candidates: Sequence[Candidate]) -> bytes:
    """Return the message that carries the candidates, in the order of the windows."""
    return _pack(candidates, Candidate, {})


def read_answer(raw: bytes) -> list[Candidate]:
    """Read what `answer` wrote; MalformedMessageError where it is something else."""
    return _unpack(raw, Candidate)[1]


def _pack(items: Sequence[Window] | Sequence[Candidate], kind: type, head: dict[str, Any]) -> bytes:
    arrays: dict[str, Any] = {}
    names = [field.name for field in fields(kind)]
    numbers = [{name: getattr(item, name) for name in names} for item in items]
    for name in [name for name in names if numbers and isinstance(numbers[0][name], np.ndarray)]:
        parts = [each.pop(name) for each in numbers]
        arrays[name], arrays[f"{name}.lengths"] = np.concatenate(parts), np.array([len(part) for part in parts])
    written = BytesIO()
    np.savez(written, head=np.frombuffer(json.dumps({**head, "items": numbers}).encode(), np.uint8), **arrays)
    return written.getvalue()


def _unpack(raw: bytes, kind: Callable[..., Item]) -> tuple[dict[str, Any], list[Item]]:
    try:
        with np.load(BytesIO(raw), allow_pickle=False) as archive:
            arrays = dict(archive)
        head = json.loads(arrays.pop("head").tobytes())
        items: list[dict[str, Any]] = head["items"]
        for name in [name for name in arrays if f"{name}.lengths" in arrays]:
            parts = np.split(arrays[name], np.cumsum(arrays[f"{name}.lengths"])[:-1])
            for item, part in zip(items, parts, strict=True):
                item[name] = part
        return head, [kind(**item) for item in items]
    except (OSError, EOFError, zipfile.BadZipFile, LookupError, TypeError, ValueError) as error:
        message = f"not a message of the refit: {error}"
        raise MalformedMessageError(message) from error
