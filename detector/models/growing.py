"""Arrays that grow as slots come, without a pause however long they are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_STEP_BYTES = 4 << 20
"""By so much an array grows, once it is as large: new memory has to be cleared, at some milliseconds a megabyte."""


def room(needed: int, capacity: int, width: int) -> int:
    """Return the capacity that an array of `capacity` entries of so many bytes grows to, so that `needed` fit."""
    return max(needed, capacity + min(capacity, _STEP_BYTES // width))


def extended(array: NDArray[Any], length: int, fill: object = 0) -> NDArray[Any]:
    """Return the array with `length` entries, the new ones `fill`: in its own memory where nobody else holds it.

    Then a large one is not even copied: the system moves its pages to where there is room.
    """
    before = len(array)
    try:
        array.resize((length, *array.shape[1:]))
    except ValueError:  # somebody looks at it, and goes on to see what was there
        array = np.concatenate([array, np.zeros((length - before, *array.shape[1:]), array.dtype)])
    if fill:
        array[before:] = fill
    return array
