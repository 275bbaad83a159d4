"""Rows by slot: so that what goes from one row of a slot to its next is done for all slots at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from detector.types import Bool, Float64, Int64


@dataclass(frozen=True, slots=True)
class Grouped:
    """Rows in order of their slots, those of one slot in log order.

    order   int64   [n]  the rows' numbers
    slots   int64   [P]  the distinct slots
    group   int64   [n]  each row's slot, by its place in `slots`
    first   int64   [P]  place of each slot's first row
    last    int64   [P]  and of its last
    times   float64 [n]  the rows' own event times; NaN = they do not matter
    """

    order: Int64
    slots: Int64
    group: Int64
    first: Int64
    last: Int64
    times: Float64

    @classmethod
    def of(cls, slots: Int64, times: Float64 | None = None) -> Grouped:
        """Group rows of slots [n], in log order."""
        times = np.full(len(slots), np.nan) if times is None else times
        order = np.argsort(slots, kind="stable")
        ordered = slots[order]
        new = np.ones(len(slots) + 1, np.bool_)  # one more begins behind them
        new[1:-1] = ordered[1:] != ordered[:-1]
        bounds = np.flatnonzero(new)
        first = bounds[:-1]
        return cls(order, ordered[first], new[:-1].cumsum() - 1, first, bounds[1:] - 1, times[order])

    def latest(self, kept: Bool) -> tuple[Int64, Int64]:
        """Return the place of the latest `kept` [n, F] row of the slot before each row [n, F], and in all [P, F].

        -1 where there is none among these rows.
        """
        so_far = np.where(kept, np.arange(len(kept))[:, None], -1)
        np.maximum.accumulate(so_far, axis=0, out=so_far)
        before = np.full_like(so_far, -1)
        before[1:] = so_far[:-1]
        before[before < self.first[self.group][:, None]] = -1
        final = so_far[self.last]
        final[final < self.first[:, None]] = -1
        return before, final


def pick(values: Float64, places: Int64, otherwise: Float64) -> Float64:
    """Return per feature the values [n, F] at some places [m, F]; `otherwise` [m, F] where a place is -1."""
    found = np.take_along_axis(values, np.maximum(places, 0), axis=0)
    return np.where(places >= 0, found, otherwise)


def in_turn(slots: Int64) -> Iterator[Int64]:
    """Yield the first row of each slot, then the second of each, and so on: all of one turn are independent."""
    order = np.argsort(slots, kind="stable")
    ordered = slots[order]
    turn = np.arange(len(slots)) - np.searchsorted(ordered, ordered)
    by_turn = order[np.argsort(turn, kind="stable")]
    start = 0
    for count in np.bincount(turn).tolist():
        yield by_turn[start : start + count]
        start += count
