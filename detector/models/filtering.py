"""Filters: which features of a row count, as the operator asked for each of them.

A filter acts on the features' parts of the distance, between the program and everything that follows from a score. So
what is calibrated is the very distance that alerts go by, and the share of normal rows that alert stays the one asked
for. (A condition on alerts alone would leave the threshold where the unfiltered distances put it: an operator who asks
for less of one feature would hear less of all others, too.) The program, the learning gate and the clusters know of no
filter: what is normal does not depend on what one wants to be told.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from detector.config.events import Events
from detector.config.filters import Filter
from detector.features.layout import columns_of, model_features
from detector.types import Bool, Float32, Float64

_NO_FILTER = Filter()


class Filters(NamedTuple):
    """The filters of D columns of the model's rows, an array entry each (see `config.filters.Filter`).

    rise, drop      bool    [D]  whether a value above, or below, what is expected counts
    deviation       float64 [D]  least distance from it, in the feature's unit
    relative        float64 [D]  least distance from it, as a share of it
    least, greatest float64 [D]  the range inside which a value never counts; least > greatest = no range
    """

    rise: Bool
    drop: Bool
    deviation: Float64
    relative: Float64
    least: Float64
    greatest: Float64

    @classmethod
    def of(cls, events: Events) -> Self | None:
        """Take them from a configuration, for each column of the model's rows; None where no feature has one.

        A feature's lags have its filter, cycles have none. Values are judged as the transforms make them.
        """
        filters = [_NO_FILTER] * columns_of(events)
        for made in model_features(events):
            if made.feature is not None:
                filters[made.columns[0]] = events.features[made.feature].filter
        if all(each == _NO_FILTER for each in filters):
            return None
        ranges = [_range(each.allowed) for each in filters]
        return cls(
            np.array([each.direction != "drop" for each in filters]),
            np.array([each.direction != "rise" for each in filters]),
            np.array([each.min_deviation for each in filters]),
            np.array([each.min_relative_deviation for each in filters]),
            *np.array(ranges, np.float64).T,
        )

    def counting(self, rows: Float32, expected: Float32) -> Bool:
        """Tell which features of rows [n, D] count, by what was expected of them [n, D]; a missing one does not."""
        value, normal = rows.astype(np.float64), expected.astype(np.float64)
        gap = value - normal
        size = np.abs(gap)
        counts: Bool = (
            ((self.rise & (gap > 0)) | (self.drop & (gap < 0)))
            & (size >= self.deviation)
            & (size >= self.relative * np.abs(normal))
            & ~((value >= self.least) & (value <= self.greatest))
        )
        return counts


def filtered(distance: Float64, parts: Float32, counts: Bool) -> tuple[Float64, Float32]:
    """Leave out of distances [n] and of their squares' parts [n, D] what does not count [n, D].

    The members' distances are means over different centroids, their parts are means of their squares: a distance
    shrinks as the root of what is left of the parts does, which for one member is its distance without the others.
    """
    left = np.where(counts, parts, np.float32(0.0))
    whole = parts.astype(np.float64).sum(1)
    share = left.astype(np.float64).sum(1) / np.maximum(whole, np.finfo(np.float64).tiny)
    return distance * np.sqrt(share), left


def _range(allowed: tuple[float | None, float | None] | None) -> tuple[float, float]:
    if allowed is None:
        return np.inf, -np.inf
    least, greatest = allowed
    return -np.inf if least is None else least, np.inf if greatest is None else greatest
