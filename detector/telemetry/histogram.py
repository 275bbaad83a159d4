"""A histogram that takes whole arrays: prometheus-client's own takes one value a call, too slow for every event."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from threading import Lock

import numpy as np
from numpy.typing import ArrayLike
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector


class ArrayHistogram(Collector):
    """Counts values per bucket; `bounds` are the buckets' inclusive upper bounds, ascending, +Inf is added."""

    def __init__(self, name: str, documentation: str, bounds: Sequence[float]) -> None:
        self._name = name
        self._documentation = documentation
        self._ascending = [float(bound) for bound in bounds]
        self._bounds = np.array(self._ascending)
        self._counts = np.zeros(len(bounds) + 1, dtype=np.int64)
        self._sum = 0.0
        self._lock = Lock()

    def observe(self, values: ArrayLike) -> None:
        """Count an array of any shape; what is not finite is left out (a row that was not scored has NaN)."""
        array = np.asarray(values, dtype=np.float64).ravel()
        finite = np.isfinite(array)
        if not finite.all():
            array = array[finite]
        counts = np.bincount(np.searchsorted(self._bounds, array, side="left"), minlength=len(self._counts))
        total = float(array.sum())
        with self._lock:
            self._counts += counts
            self._sum += total

    def observe_one(self, value: float) -> None:
        """Count one value, which is finite."""
        bucket = bisect_left(self._ascending, value)
        with self._lock:
            self._counts[bucket] += 1
            self._sum += value

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Yield the one family, as a registry asks for it."""
        with self._lock:
            cumulative, total = np.cumsum(self._counts).tolist(), self._sum
        bounds = [*map(str, self._bounds.tolist()), "+Inf"]
        yield HistogramMetricFamily(
            self._name, self._documentation, buckets=list(zip(bounds, cumulative, strict=True)), sum_value=total
        )
