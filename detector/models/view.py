"""A view of some rows: how far out each is, by which of its features, and what was expected of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.models.calibration import FAR, common, exceeded
from detector.models.filtering import Filters, filtered
from detector.types import Bool, Float32, Float64, Int64


class View(NamedTuple):
    """Of n rows.

    distance  float64 [n]     NaN where not known
    parts     float32 [n, D]  features' parts of its square, or of what is smoothed of that: the ratio counts
    expected  float32 [n, D]
    """

    distance: Float64
    parts: Float32
    expected: Float32

    def filtered(self, filters: Filters, rows: Float32) -> View:
        """Return it without the features of the rows [n, D] that do not count."""
        distance, parts = filtered(self.distance, self.parts, filters.counting(rows, self.expected))
        return self._replace(distance=distance, parts=parts)

    def to_smooth(self, new: Int64) -> Float64:
        """Return what is smoothed of the rows numbered `new`: the distance, and each feature's part of its square."""
        parts, distance = self.parts[new], self.distance[new, None]
        squares = np.maximum(parts.sum(1, keepdims=True), np.float32(1e-30))
        return np.concatenate([distance, distance**2 * (parts / squares)], 1)

    def smoothed(self, before: Float64, new: Int64, after: Float64) -> View:
        """Return it with the distances `before` of its first rows, and what smoothing made of the rows numbered new."""
        distance, parts = np.full(len(self.distance), np.nan), self.parts.copy()
        distance[: len(before)] = before
        distance[new], parts[new] = after[:, 0], after[:, 1:]
        return self._replace(distance=distance, parts=parts)


def either(one: View, other: View, sketches: Float64, others: Float64, counts: Bool) -> View:
    """Return of each row the view that is the more surprised, with the distance in the units of the first.

    The other one is asked where it `counts` [n], and only of what is far out for it: among ordinary rows it would but
    change the order (series .801/.490 -> .796/.475). Each by the sketch of its own distances [n, 3]: at the same place
    of the common scale they are as rare. That there are two looks at each row is in the reference, which
    learns from what is returned.
    """
    wins, distance = farther(one.distance, other.distance, sketches, others, counts)
    of_it = wins[:, None]
    parts, expected = np.where(of_it, other.parts, one.parts), np.where(of_it, other.expected, one.expected)
    return View(distance, parts, expected)


def farther(one: Float64, other: Float64, sketches: Float64, others: Float64, counts: Bool) -> tuple[Bool, Float64]:
    """Return by distances [n] of two views of which rows the other is the more surprised, and `either`'s distance."""
    surprise = common(other, others)
    same = exceeded(surprise, sketches)
    wins = counts & (same > one) & (surprise >= FAR)
    return wins, np.where(wins, same, one)
