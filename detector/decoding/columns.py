"""Columns of an Arrow batch as NumPy arrays, or as lists of names; dictionaries are read once, not row by row."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from detector.decoding import timestamps
from detector.decoding.values import Expected, name
from detector.types import Bool, Float64, Int64

Array: TypeAlias = Any  # pyarrow.Array: the library ships no types

# As Arrow's own scalars: for plain ones each call would look for pandas first.
_FALSE = pa.scalar(False)  # noqa: FBT003 - the value itself
_NOWHERE = pa.scalar(-1)

_LONGEST_TIME = 64  # bytes; RFC 3339 with nanoseconds has 35


def column(batch: Array, path: tuple[str, ...]) -> Array | None:
    """Return the column at a path, through structs; None where there is none. The last of equal names counts."""
    found: Array | None = None
    fields = batch.schema
    for depth, part in enumerate(path):
        places = fields.get_all_field_indices(part)
        if not places:
            return None
        found = batch.column(places[-1]) if depth == 0 else pc.struct_field(found, [places[-1]])
        if isinstance(found, pa.ExtensionArray):
            found = found.storage
        if depth < len(path) - 1 and not pa.types.is_struct(found.type):
            return None
        fields = found.type
    return found


def valid(array: Array) -> Bool:
    """Tell which rows are not null, [n]."""
    if array.null_count == 0 and not pa.types.is_null(array.type):
        return np.ones(len(array), dtype=np.bool_)
    found: Bool = np.asarray(pc.is_valid(array))
    return found


def numbers(array: Array) -> Float64 | None:
    """Return numbers [n]: null is NaN, and NaN itself infinite. None where the column does not hold numbers."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _through(array, numbers, math.nan)
    if pa.types.is_null(kind):
        return np.full(len(array), np.nan)
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        return None
    if array.null_count == 0 and not pa.types.is_decimal(kind):
        with np.errstate(invalid="ignore"):  # some NaNs complain when they are widened
            found: Float64 = array.to_numpy().astype(np.float64)
    else:
        found = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    nan = np.isnan(found)
    if nan.any():
        nan &= valid(array)
        found = np.where(nan, np.inf, found)
    return found


def times(array: Array, unit: str) -> Float64 | None:
    """Return epoch seconds [n], NaN for none: Arrow's own timestamps in their unit, all else in `unit`."""
    if pa.types.is_timestamp(array.type):
        counts = numbers(array.cast(pa.int64()))
        return None if counts is None else timestamps.from_numbers(counts, array.type.unit)
    if unit != "rfc3339":
        found = numbers(array)
        return None if found is None else timestamps.from_numbers(found, unit)
    if pa.types.is_dictionary(array.type):
        return _through(array, lambda dictionary: times(dictionary, unit), math.nan)
    if not _is_text(array.type):
        return None
    encoded = _bounded(array, _LONGEST_TIME).dictionary_encode()
    return _through(encoded, lambda texts: timestamps.from_texts(texts.to_pylist()), math.nan)


def names(array: Array, limit: int) -> list[str | None]:
    """Return the entities' names, None for none."""
    if not pa.types.is_dictionary(array.type):
        if _is_text(array.type):
            array = _bounded(array, limit)
        elif not pa.types.is_integer(array.type):
            return [None] * len(array)
        array = array.dictionary_encode()
    values = array.dictionary
    if _is_text(values.type):
        values = _bounded(values, limit)
    elif not pa.types.is_integer(values.type):
        return [None] * len(array)
    known = [name(value, limit) for value in values.to_pylist()]
    known.append(None)  # where index -1, a null, leads
    return list(map(known.__getitem__, _indices(array).tolist()))


def matching(array: Array, expected: Expected) -> Bool:
    """Tell which rows equal the value of `where`, [n], as `values.matches` has it."""
    if pa.types.is_dictionary(array.type):
        found = _through(array, lambda dictionary: matching(dictionary, expected).astype(np.float64), 0.0)
        return np.zeros(len(array), dtype=np.bool_) if found is None else found > 0
    if isinstance(expected, bool):
        fits = pa.types.is_boolean(array.type)
    elif isinstance(expected, str):
        fits = _is_text(array.type)
        if fits:
            array = _bounded(array, len(expected.encode()))
    else:
        given = numbers(array)
        return np.zeros(len(array), dtype=np.bool_) if given is None else given == float(expected)
    if not fits:
        return np.zeros(len(array), dtype=np.bool_)
    equal: Bool = np.asarray(pc.fill_null(pc.equal(array, pa.scalar(expected, array.type)), _FALSE))
    return equal


def _through(array: Array, read: Callable[[Array], Float64 | None], null: float) -> Float64 | None:
    """Read the values of a dictionary, and spread them over the rows."""
    values = read(array.dictionary)
    if values is None:
        return None
    spread: Float64 = np.append(values, null)[_indices(array)]
    return spread


def _indices(array: Array) -> Int64:
    """Return the places of the rows in the dictionary, [n]; -1 for null."""
    indices = array.indices
    if indices.null_count:
        indices = pc.fill_null(indices.cast(pa.int64()), _NOWHERE)
    found: Int64 = indices.to_numpy()
    return found


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _bounded(texts: Array, limit: int) -> Array:
    """Void what is longer than `limit` bytes, so that the rest can be read row by row."""
    if pa.types.is_string_view(texts.type):
        return _bounded_views(texts, limit)
    long = pc.binary_length(texts).to_numpy(zero_copy_only=False) > limit  # a null's length is NaN, and not long
    return pc.if_else(pa.array(long), pa.scalar(None, texts.type), texts) if long.any() else texts


def _bounded_views(texts: Array, limit: int) -> Array:
    """Do the same for views, which may share bytes, and so be longer together than memory has room for.

    A view is 16 bytes, of which the first four are its length; pyarrow has next to no functions for them. What a
    null's view says is checked by nobody, and pyarrow would follow it anywhere: nulls are voided too.
    """
    rows = len(texts)
    if rows == 0:
        return pa.array([], pa.large_string())
    _, views, *shared = texts.buffers()
    kept = np.frombuffer(views, dtype=np.int32, count=4 * rows, offset=16 * texts.offset).reshape(rows, 4).copy()
    fits = valid(texts) & (kept[:, 0] <= limit)
    kept[~fits] = 0
    bitmap = pa.array(fits).buffers()[1]
    return pa.Array.from_buffers(texts.type, rows, [bitmap, pa.py_buffer(kept), *shared]).cast(pa.large_string())
