"""Lending: arrays in memory that TensorFlow can use where it is, without a copy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_ALIGNMENT = 64
"""Bytes at whose multiples TensorFlow wants an array to begin."""


def blank(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array to lend; what it holds is not set."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def filled(shape: tuple[int, ...], dtype: DTypeLike, value: object) -> NDArray[Any]:
    """Return an array to lend that holds one value."""
    array = blank(shape, dtype)
    array.fill(value)
    return array


def lendable(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array, or a copy of it where it cannot be lent."""
    if array.flags.c_contiguous and array.flags.writeable and array.ctypes.data % _ALIGNMENT == 0:
        return array
    copied = blank(array.shape, array.dtype)
    copied[...] = array
    return copied
