"""What an operator feels of a series: at one false alert per entity and week, what is found, and how soon.

A *span* is a longest run of anomalous rows of a stream. An *alert* is raised by a row at or above a threshold whose
predecessor in its stream is below it: what lasts is one alert. It finds the span that its row lies in, and is false
outside of all. The budget is one false alert for each stream and week, rounded down, over the whole set, and one
threshold serves all streams, as one budget and one score do in the daemon: of those that keep to the budget, the one
that finds most, and of these the lowest. The delay of a span is the time from its first row to the first alert in it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from detector.quality.labelled import Run
from detector.quality.measures import judged
from detector.types import Bool, Float64, Int64

_WEEK = 7 * 86400.0
_ROUNDING = 1e-9


class Found(NamedTuple):
    """How many spans there are, how many are found, and with which median delay (seconds; None where none is)."""

    spans: int
    found: int
    median_delay: float | None


class _Steps(NamedTuple):
    """Alerts: each is raised at the thresholds above `below`, up to `upto`; both [m]."""

    below: Float64
    upto: Float64

    def raised(self, thresholds: Float64) -> Int64:
        """Return how many of them are raised at each threshold."""
        return _at_least(self.upto, thresholds) - _at_least(self.below, thresholds)


@dataclass(frozen=True, slots=True)
class _Stream:
    """The judged rows of a stream: labels, ranks, the rank before each, and times, each [n]."""

    labels: Bool
    ranks: Float64
    before: Float64
    times: Float64

    @classmethod
    def of(cls, run: Run, ranks: Float64, stream: int) -> _Stream:
        rows = run.rows(stream)
        part, own = judged(len(rows)), ranks[rows]
        return cls(run.labels[rows][part], own[part], np.append(-np.inf, own)[:-1][part], run.times[rows][part])

    @property
    def weeks(self) -> float:
        """How long it is, with the last row's own time."""
        rows = len(self.times)
        return float(np.ptp(self.times)) * rows / (rows - 1) / _WEEK if rows > 1 else 0.0

    def spans(self) -> list[slice]:
        """Return the rows of each span."""
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.labels, [False]]).astype(np.int8)))
        return [slice(int(first), int(behind)) for first, behind in edges.reshape(-1, 2)]

    def false_alerts(self) -> _Steps:
        rising = ~self.labels & (self.ranks > self.before)
        return _Steps(self.before[rising], self.ranks[rising])

    def findings(self, span: slice) -> _Steps:
        """Return the thresholds at which a span is found: its alerts, where they overlap as one."""
        below, upto = list[float](), list[float]()
        for start, end in sorted(zip(self.before[span].tolist(), self.ranks[span].tolist(), strict=True)):
            if end <= start:
                continue
            if upto and start <= upto[-1]:
                upto[-1] = max(upto[-1], end)
            else:
                below.append(start)
                upto.append(end)
        return _Steps(np.array(below), np.array(upto))

    def delay(self, span: slice, threshold: float) -> float | None:
        """Return how long a span lasts until it is found; None where it is not."""
        alerts = np.flatnonzero((self.before[span] < threshold) & (self.ranks[span] >= threshold))
        return float(self.times[span][alerts[0]] - self.times[span][0]) if len(alerts) else None


def found(run: Run, ranks: Float64) -> Found:
    """Judge ranks [n], comparable over all streams. Times that a set lacks are assumed: see `labelled`."""
    streams = [_Stream.of(run, ranks, stream) for stream in range(len(run.streams))]
    weeks = sum(stream.weeks for stream in streams)
    threshold = _threshold(streams, math.floor(weeks + _ROUNDING))
    delays = [stream.delay(span, threshold) for stream in streams for span in stream.spans()]
    known = [delay for delay in delays if delay is not None]
    return Found(len(delays), len(known), statistics.median(known) if known else None)


def _threshold(streams: Sequence[_Stream], budget: int) -> float:
    """Return the threshold that finds most with at most so many false alerts; infinite where there is none."""
    false_alerts = _joined([stream.false_alerts() for stream in streams])
    findings = _joined([stream.findings(span) for stream in streams for span in stream.spans()])
    thresholds = np.unique(np.concatenate([stream.ranks for stream in streams]))
    thresholds = thresholds[false_alerts.raised(thresholds) <= budget]
    return float(thresholds[np.argmax(findings.raised(thresholds))]) if len(thresholds) else math.inf


def _joined(several: Sequence[_Steps]) -> _Steps:
    nothing = np.empty(0)
    return _Steps(
        np.concatenate([nothing, *(steps.below for steps in several)]),
        np.concatenate([nothing, *(steps.upto for steps in several)]),
    )


def _at_least(values: Float64, bounds: Float64) -> Int64:
    """Return how many of the values are no less than each of the bounds [m]."""
    return len(values) - np.searchsorted(np.sort(values), bounds)
