"""What a bank keeps of each slot, by name: fields of one record, so that a slot lies in few lines of the cache."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.models.calibration import prior
from detector.models.relations_state import begun
from detector.models.relations_state import state_of as relations_of
from detector.models.shape import Shape
from detector.types import Float32, Float64, Int64


def record_of(shape: Shape, *, smoothed: int, history: int, relations: bool) -> np.dtype[np.void]:
    """Return the record of a slot, with so many numbers for smoothing and for the running state of the transforms."""
    return np.dtype(
        [
            ("centroids", np.float32, (shape.all_centroids, shape.features)),
            ("traits", np.float32, (shape.traits,)),
            ("times", np.float64, (shape.times,)),
            ("sketches", np.float64, (2, 3)),
            ("smoothed", np.float64, (smoothed,)),
            ("history", np.float64, (history,)),
            ("first_seen", np.float64),
            ("pause", np.float64),
            ("interval", np.float64),
            ("beat", np.float64),
            ("since", np.float64),
            ("echoing", np.int64),
            ("faulty_share", np.float64),
            ("rows_learned", np.int64),
            ("kept_up", np.int64),
            *([("relations", relations_of(shape.features))] if relations else []),
        ]
    )


def beginning(record: np.dtype[np.void], shape: Shape) -> NDArray[np.void]:
    """Return what a slot begins with [1]."""
    state = np.zeros(1, record)
    first = 3 * shape.all_centroids  # of its means among the traits
    state["traits"][:, first : first + shape.features] = np.nan
    state["smoothed"] = state["history"] = state["since"] = state["interval"] = state["beat"] = np.nan
    state["sketches"] = prior(shape.features)
    state["pause"] = -np.inf
    if "relations" in (record.names or ()):
        state["relations"] = begun(shape.features)
    return state


class Columns:
    """The fields of the records `_slots` [S], which whoever inherits this makes; views, to read and to write."""

    shape: Shape
    _slots: NDArray[np.void]

    @property
    def centroids(self) -> Float32:
        """Coordinates [S, C, D]."""
        return self._slots["centroids"]

    @property
    def traits(self) -> Float32:
        """Masses, spreads, wins, means, variances, weights, within, learning gate [S, 3 C + 4 D + 1]."""
        return self._slots["traits"]

    @property
    def times(self) -> Float64:
        """Event times when the slot last learned, and when each centroid first and last won [S, 1 + 2 C]."""
        return self._slots["times"]

    @property
    def sketches(self) -> Float64:
        """Of smoothed scores, and of scores: 95 % quantile, mean excess, rows [S, 2, 3]."""
        return self._slots["sketches"]

    @property
    def smoothed(self) -> Float64:
        """For each half-life and view the smoothed score, and each feature's part of its square [S, H V (1 + D)]."""
        return self._slots["smoothed"]

    @property
    def history(self) -> Float64:
        """Running state of the transforms [S, W]."""
        return self._slots["history"]

    @property
    def first_seen(self) -> Float64:
        """Partition's event time at the slot's first row [S]."""
        return self._slots["first_seen"]

    @property
    def pause(self) -> Float64:
        """Longest pause of late of the slot's rows [S], as `awaiting` keeps it."""
        return self._slots["pause"]

    @property
    def interval(self) -> Float64:
        """Usual interval of the slot's rows [S], seconds; NaN = unknown."""
        return self._slots["interval"]

    @property
    def beat(self) -> Float64:
        """Partition's event time at the slot's last row of a complete block [S]."""
        return self._slots["beat"]

    @property
    def relations(self) -> NDArray[np.void]:
        """What is known of the relations of the slot's features [S], as records; only where that is kept."""
        return self._slots["relations"]

    @property
    def since(self) -> Float64:
        """Event time since which the slot's scores are high [S]."""
        return self._slots["since"]

    @property
    def echoing(self) -> Int64:
        """Rows for which the slot's smoothed scores go on to remember a stray [S]."""
        return self._slots["echoing"]

    @property
    def faulty_share(self) -> Float64:
        """Share of the time in which it was faulty, of late [S]."""
        return self._slots["faulty_share"]

    @property
    def rows_learned(self) -> Int64:
        """Rows learned [S]."""
        return self._slots["rows_learned"]

    @property
    def kept_up(self) -> Int64:
        """Number of the block before which each slot was last kept up [S]."""
        return self._slots["kept_up"]

    @property
    def masses(self) -> Float32:
        """Masses of the centroids [S, C]; 0 = no centroid."""
        return self._trait(0, self.shape.all_centroids)

    @property
    def spreads(self) -> Float32:
        """Mean squared distance of the rows that a centroid won [S, C]."""
        return self._trait(self.shape.all_centroids, self.shape.all_centroids)

    @property
    def wins(self) -> Float32:
        """Rows that a centroid won, whatever its mass has become [S, C]."""
        return self._trait(2 * self.shape.all_centroids, self.shape.all_centroids)

    @property
    def means(self) -> Float32:
        """Running means [S, D]; NaN where a feature was never seen."""
        return self._trait(3 * self.shape.all_centroids, self.shape.features)

    @property
    def variances(self) -> Float32:
        """Running variances [S, D]."""
        return self._trait(3 * self.shape.all_centroids + self.shape.features, self.shape.features)

    @property
    def weights(self) -> Float32:
        """Rows that the moments of each feature stand for [S, D]."""
        return self._trait(3 * self.shape.all_centroids + 2 * self.shape.features, self.shape.features)

    @property
    def within(self) -> Float32:
        """Running variances about the nearest centroid [S, D]."""
        return self._trait(3 * self.shape.all_centroids + 3 * self.shape.features, self.shape.features)

    @property
    def gates(self) -> Float32:
        """Distance beyond which rows are not learned [S]; 0 = none."""
        return self.traits[:, -1]

    @property
    def first_wins(self) -> Float64:
        """Event time when each centroid first won a row [S, C]; 0 = it has not."""
        return self.times[:, 1 : 1 + self.shape.all_centroids]

    @property
    def last_wins(self) -> Float64:
        """Event time when each centroid last won a row [S, C]."""
        return self.times[:, 1 + self.shape.all_centroids :]

    def _trait(self, start: int, width: int) -> Float32:
        return self.traits[:, start : start + width]
