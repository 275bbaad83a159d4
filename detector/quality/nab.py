"""The scoring of the Numenta Anomaly Benchmark.

Lavin & Ahmad, "Evaluating real-time anomaly detection algorithms", ICMLA 2015; the rules are those of NAB's own
`sweeper.py`. A row that reaches the threshold inside a labelled window earns the more the earlier it is; of each
window the best such row counts. Outside it costs the more the further behind a window it is, and a window that is
missed costs too. One threshold, the best there is, serves the whole corpus. 0 = the score of a detector that says
nothing, 100 = that of one that reports the first row of each window and nothing else. The first 15 % of a stream (at
most 750 rows) are left out.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from detector.quality.labelled import Run, Windows
from detector.types import Float64, Int64


@dataclass(frozen=True, slots=True)
class Profile:
    """What a true positive earns, and what a false positive and a false negative cost, at most."""

    true_positive: float = 1.0
    false_positive: float = 0.11
    false_negative: float = 1.0


PROFILES = {
    "standard": Profile(),
    "reward_low_FP_rate": Profile(false_positive=0.22),
    "reward_low_FN_rate": Profile(false_negative=2.0),
}

_OUTSIDE = -1
_PROBATION = (0.15, 5000)
"""Share of a stream that is left out, and the length beyond which it grows no longer."""


_LASTING = 20
"""Rows for which what goes on is told no second time: twice the middle one of the half-lives that scores of metrics are
smoothed by, as many as one event lifts."""


class Stream(NamedTuple):
    """A stream of the corpus: ranks [n] (higher = more anomalous), times [n] (epoch seconds, sorted), its windows."""

    ranks: Float64
    times: Float64
    windows: Windows


def scores(run: Run, ranks: Float64) -> dict[str, float]:
    """Return the score of ranks [n] by the name of each of NAB's profiles; of a run with windows.

    What lasts is one incident, as it is for the daemon: see `corpus_score`.
    """
    streams = [
        Stream(ranks[rows], run.times[rows], run.windows.get(name, ()))
        for name, rows in zip(run.streams, map(run.rows, range(len(run.streams))), strict=True)
    ]
    return {name: corpus_score(streams, profile, lasting=_LASTING) for name, profile in PROFILES.items()}


def corpus_score(streams: Sequence[Stream], profile: Profile, *, lasting: int = 0) -> float:
    """Return the score of a corpus, at the best threshold; NaN without windows.

    Where `lasting` is 0 each row that reaches the threshold is reported; else none is of which one of so many rows
    before it reached it too.
    """
    gains, ranks, before, windows, count = [np.empty(0)], [np.empty(0)], [np.empty(0)], [np.empty(0, np.int64)], 0
    for stream in streams:
        gain, window = row_gains(stream.times, stream.windows, profile)
        judged = slice(int(_PROBATION[0] * min(len(gain), _PROBATION[1])), None)
        gains.append(gain[judged])
        ranks.append(stream.ranks[judged])
        before.append(_highest_before(stream.ranks, lasting)[judged])
        windows.append(np.where(window >= 0, window + count, _OUTSIDE)[judged])
        count += len(stream.windows)
    if not count:
        return np.nan
    best = _best(np.concatenate(ranks), np.concatenate(before), np.concatenate(gains), np.concatenate(windows), profile)
    nothing = -profile.false_negative * count
    return 100.0 * (best - nothing) / (profile.true_positive * count - nothing)


def _highest_before(ranks: Float64, lasting: int) -> Float64:
    """Return the highest rank of so many rows before each [n]; -inf where there are none."""
    if not lasting:
        return np.full(len(ranks), -np.inf)
    before = np.concatenate([np.full(lasting, -np.inf), ranks])[:-1]
    highest: Float64 = np.lib.stride_tricks.sliding_window_view(before, lasting).max(1)
    return highest


def row_gains(times: Float64, windows: Windows, profile: Profile) -> tuple[Float64, Int64]:
    """Return what a detection at each row [n] earns, and the number of the window that it lies in, or -1.

    Windows are in order of time and do not overlap.
    """
    gains = np.full(len(times), -profile.false_positive)
    inside = np.full(len(times), _OUTSIDE)
    for number, (start, end) in enumerate(windows):
        first = int(np.searchsorted(times, start))
        last = min(int(np.searchsorted(times, end)), len(times) - 1)
        width = last - first + 1
        rows = np.arange(first, last + 1)
        gains[rows] = _sigmoid((rows - last - 1) / width) / _sigmoid(np.full(1, -1.0)) * profile.true_positive
        inside[rows] = number
        behind = np.arange(last + 1, len(times))
        gains[behind] = _sigmoid((behind - last) / max(width - 1, 1)) * profile.false_positive
    return gains, inside


def _sigmoid(position: Float64) -> Float64:
    """Return NAB's scaled sigmoid: near 1 at the left edge of a window, 0 at its right edge, -1 far behind it."""
    bent: Float64 = 2.0 / (1.0 + np.exp(5.0 * np.minimum(position, 3.0))) - 1.0
    return np.where(position > 3.0, -1.0, bent)


def _best(ranks: Float64, before: Float64, gains: Float64, windows: Int64, profile: Profile) -> float:
    """Return the raw score at the best threshold; a row is reported at those above `before` and up to its rank.

    Thresholds fall from the highest rank down, and the score changes where a row begins or ceases to be reported.
    """
    missed = -profile.false_negative
    told, found = ranks > before, np.unique(windows[windows >= 0])
    ranks, before, gains, windows = ranks[told], before[told], gains[told], windows[told]
    outside = windows < 0
    at = [ranks[outside], before[outside]]
    steps = [gains[outside], -gains[outside]]
    for window in found:
        own = windows == window
        at.append(np.concatenate([ranks[own], before[own]]))
        steps.append(_steps(at[-1], gains[own], missed))
    order = np.argsort(-np.concatenate(at), kind="stable")
    thresholds = np.concatenate(at)[order]
    total = np.cumsum(np.concatenate(steps)[order]) + missed * len(found)
    complete = np.append(thresholds[1:] != thresholds[:-1], True)[: len(thresholds)]
    return float(max(total[complete & (thresholds > -np.inf)].max(initial=-np.inf), missed * len(found)))


def _steps(at: Float64, gains: Float64, missed: float) -> Float64:
    """Return how what a window earns changes as the threshold falls to each of `at` [2 n], in their order.

    Of its n rows the first n of `at` are where they begin to be reported, the rest where they cease to be.
    """
    reported, steps, earned = list[float](), np.zeros(len(at)), missed
    for i in np.argsort(-at, kind="stable").tolist():
        gain = float(gains[i % len(gains)])
        if i < len(gains):
            insort(reported, gain)
        else:
            del reported[bisect_left(reported, gain)]
        now = max(missed, reported[-1]) if reported else missed
        steps[i], earned = now - earned, now
    return steps
