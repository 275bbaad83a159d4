"""The rows of one call of `advance`, as far as the model has seen them yet."""

from __future__ import annotations

import numpy as np

from detector.features.transforms import Transforms
from detector.models.bank import Bank
from detector.models.copying import Copying
from detector.types import Int64, Rows


class Incoming:
    """Transforms rows, each once and in log order, when the slots of its call are known.

    entities    of all rows, or None
    values      float64 [n, D]  as people see them, and
    rows        float32 [n, D]  as the model does; both are filled in by `see`
    overflowed  transformed values beyond float32 so far
    """

    def __init__(self, rows: Rows, transforms: Transforms, bank: Bank, copying: Copying) -> None:
        self._given = rows
        self._transforms = transforms
        self._bank = bank
        self._copying = copying
        self.entities = rows.entities
        self.overflowed = 0
        if transforms.idle:
            self.values, self.rows, self._seen = rows.values, rows.values.astype(np.float32), len(rows)
        else:
            shape = len(rows), transforms.columns
            self.values, self.rows, self._seen = np.empty(shape), np.empty(shape, np.float32), 0

    def see(self, slots: Int64, first: int) -> None:
        """Transform what is new among the rows from `first` on, whose slots [m] are given (-1 = none).

        A call that ends early gives rows again. They are not transformed again, as the running state has passed them:
        all that is seen is taken before anything else (a control record, forgetting) can change it.
        """
        start, end = max(self._seen, first), first + len(slots)
        if start >= end:
            return
        slots = slots[start - first :]
        if self._transforms.width:
            self._copying.before_change(slots[slots >= 0])
        given, new = self._given, slice(start, end)
        derived = self._transforms.derive(given.values[new], given.times[new], slots, self._bank.history)
        self.values[new], self.rows[new] = derived.values, derived.rows
        self.overflowed += derived.overflowed
        self._seen = end
