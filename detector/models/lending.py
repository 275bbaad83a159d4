"""Lending: arrays in memory that TensorFlow can use where it is, without a copy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_ALIGNMENT = 64
"""Bytes at whose multiples TensorFlow wants an array to begin."""


def blank(*parts: tuple[tuple[int, ...], DTypeLike]) -> Iterable[NDArray[Any]]:
    """Return arrays to lend, of those shapes and types, in one piece of memory; what they hold is not set."""
    places, size = _places(parts)
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return [
        memory[start + first : start + end].view(dtype).reshape(shape)
        for (first, end), (shape, dtype) in zip(places, parts, strict=True)
    ]


@lru_cache(maxsize=64)
def _places(parts: tuple[tuple[tuple[int, ...], DTypeLike], ...]) -> tuple[list[tuple[int, int]], int]:
    """Return where each array begins and ends, and the bytes of all."""
    places, end = [], 0
    for shape, dtype in parts:
        first = -(-end // _ALIGNMENT) * _ALIGNMENT
        end = first + math.prod(shape) * np.dtype(dtype).itemsize
        places.append((first, end))
    return places, end


def lendable(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, or a copy of it where it cannot be lent."""
    if array.flags.c_contiguous and array.flags.writeable and array.ctypes.data % _ALIGNMENT == 0:
        return array
    (copied,) = blank((array.shape, array.dtype))
    copied[...] = array
    return copied
