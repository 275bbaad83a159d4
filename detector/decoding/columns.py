"""Columns of an Arrow batch as NumPy arrays, or as lists of names; dictionaries are read once, not row by row."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from detector.decoding import timestamps
from detector.decoding.values import Expected, name
from detector.types import Bool, Float64, Int64

Numbers: TypeAlias = NDArray[Any]
Array: TypeAlias = Any  # pyarrow.Array: the library ships no types

# As Arrow's own scalars: for plain ones each call would look for pandas first.
_FALSE = pa.scalar(False)  # noqa: FBT003 - the value itself
_NOWHERE = pa.scalar(-1)

_PLAIN = {pa.type_for_alias(f"{kind}{bits}").id for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
_PLAIN |= {pa.float16().id, pa.float32().id, pa.float64().id}

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


def features(array: Array) -> Numbers | None:
    """Return numbers [n] as `numbers` does, but with NaN itself infinite: only null is missing."""
    if pa.types.is_dictionary(array.type):
        return _through(array, 0, features, math.nan)
    found = numbers(array)
    if found is None or found.dtype.kind != "f":
        return found
    nan = np.isnan(found)
    return np.where(nan & valid(array), np.inf, found) if nan.any() else found


def numbers(array: Array) -> Numbers | None:
    """Return numbers [n], float64 or any narrower type; null is NaN. None where the column does not hold numbers."""
    kind = array.type
    if kind.id in _PLAIN and array.null_count == 0:
        plain: Numbers = array.to_numpy()
        return plain
    if kind.id in _PLAIN or pa.types.is_decimal(kind):
        floats: Float64 = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return floats
    if pa.types.is_dictionary(kind):
        return _through(array, 0, numbers, math.nan)
    return np.full(len(array), np.nan) if pa.types.is_null(kind) else None


def times(array: Array, unit: str) -> Float64 | None:
    """Return epoch seconds [n], NaN for none: Arrow's own timestamps in their unit, all else in `unit`."""
    if pa.types.is_timestamp(array.type):
        counts = numbers(array.cast(pa.int64()))
        return None if counts is None else timestamps.from_numbers(counts.astype(np.float64), array.type.unit)
    if unit != "rfc3339":
        found = numbers(array)
        return None if found is None else timestamps.from_numbers(found.astype(np.float64), unit)
    if pa.types.is_dictionary(array.type):
        return _through(array, _LONGEST_TIME, lambda dictionary: times(dictionary, unit), math.nan)
    if not _is_text(array.type):
        return None
    return timestamps.from_texts(_bounded(array, _LONGEST_TIME).to_pylist())


def names(array: Array, limit: int) -> list[str | None]:
    """Return the entities' names, None for none."""
    if not pa.types.is_dictionary(array.type):
        if _is_text(array.type):
            array = _bounded(array, limit)
        elif not pa.types.is_integer(array.type):
            return [None] * len(array)
        array = array.dictionary_encode()
    indices, values = _parted(array, limit)
    if not (_is_text(values.type) or pa.types.is_integer(values.type)):
        return [None] * len(array)
    known = [name(value, limit) for value in values.to_pylist()]
    known.append(None)  # where index -1, a null, leads
    return list(map(known.__getitem__, indices.tolist()))


def matching(array: Array, expected: Expected) -> Bool:
    """Tell which rows equal the value of `where`, [n], as `values.matches` has it."""
    if pa.types.is_dictionary(array.type):
        longest = len(expected.encode()) if isinstance(expected, str) else 0
        found = _through(array, longest, lambda values: matching(values, expected).astype(np.float64), 0.0)
        return np.zeros(len(array), dtype=np.bool_) if found is None else found > 0
    if isinstance(expected, bool):
        fits = pa.types.is_boolean(array.type)
    elif isinstance(expected, str):
        fits = _is_text(array.type)
        if fits:
            array = _bounded(array, len(expected.encode()))
    else:
        given = numbers(array)
        return np.zeros(len(array), dtype=np.bool_) if given is None else given.astype(np.float64) == float(expected)
    if not fits:
        return np.zeros(len(array), dtype=np.bool_)
    equal: Bool = np.asarray(pc.fill_null(pc.equal(array, pa.scalar(expected, array.type)), _FALSE))
    return equal


def _through(array: Array, longest: int, read: Callable[[Array], Numbers | None], null: float) -> Float64 | None:
    """Read the values of a dictionary, and spread them over the rows."""
    indices, dictionary = _parted(array, longest)
    values = read(dictionary)
    if values is None:
        return None
    spread: Float64 = np.append(values, null)[indices]
    return spread


def _parted(array: Array, longest: int) -> tuple[Int64, Array]:
    """Part rows from their dictionary: the place of each row in it, [n], -1 for null.

    Texts above `longest` bytes are voided, and of a dictionary larger than the batch only what the rows use is left:
    many small batches may share a large one.
    """
    indices = array.indices
    if indices.null_count:
        indices = pc.fill_null(indices.cast(pa.int64()), _NOWHERE)
    places: Int64 = indices.to_numpy().astype(np.int64)
    dictionary = array.dictionary
    if _is_text(dictionary.type):
        dictionary = _bounded(dictionary, longest)
    if len(dictionary) > len(places):
        used, places = np.unique(places, return_inverse=True)
        dictionary = dictionary.take(pa.array(used, mask=used < 0))
    return places, dictionary


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
