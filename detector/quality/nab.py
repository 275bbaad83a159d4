"""The scoring of the Numenta Anomaly Benchmark.

Lavin & Ahmad, "Evaluating real-time anomaly detection algorithms", ICMLA 2015; the rules are those of NAB's own
`sweeper.py`. A row that reaches the threshold inside a labelled window earns the more the earlier it is; of each
window the best such row counts. Outside it costs the more the further behind a window it is, and a window that is
missed costs too. One threshold, the best there is, serves the whole corpus. 0 = the score of a detector that says
nothing, 100 = that of one that reports the first row of each window and nothing else. The first 15 % of a stream (at
most 750 rows) are left out.
"""

from __future__ import annotations

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


_LASTING = 100
"""Rows for which what lasts is one incident: the longest half-life that scores of metrics are smoothed by."""


class Stream(NamedTuple):
    """A stream of the corpus: ranks [n] (higher = more anomalous), times [n] (epoch seconds, sorted), its windows."""

    ranks: Float64
    times: Float64
    windows: Windows


def scores(run: Run, ranks: Float64) -> dict[str, float]:
    """Return the score of ranks [n] by the name of each of NAB's profiles; of a run with windows."""
    streams = [
        Stream(ranks[rows], run.times[rows], run.windows.get(name, ()))
        for name, rows in zip(run.streams, map(run.rows, range(len(run.streams))), strict=True)
    ]
    return {name: corpus_score(streams, profile) for name, profile in PROFILES.items()}


def incidents(run: Run, ranks: Float64) -> Float64:
    """Return ranks [n] in which a row is silent unless it is above all of the hundred rows before it in its stream."""
    reports = np.full(len(run), -np.inf)
    for stream in range(len(run.streams)):
        rows = run.rows(stream)
        own = ranks[rows]
        before = np.concatenate([np.full(_LASTING, -np.inf), own])[:-1]
        highest = np.lib.stride_tricks.sliding_window_view(before, _LASTING).max(1)
        reports[rows] = np.where(own > highest, own, -np.inf)
    return reports


def corpus_score(streams: Sequence[Stream], profile: Profile) -> float:
    """Return the score of a corpus, at the best threshold; NaN without windows."""
    gains, ranks, windows, count = [np.empty(0)], [np.empty(0)], [np.empty(0, np.int64)], 0
    for stream in streams:
        gain, window = row_gains(stream.times, stream.windows, profile)
        judged = slice(int(_PROBATION[0] * min(len(gain), _PROBATION[1])), None)
        gains.append(gain[judged])
        ranks.append(stream.ranks[judged])
        windows.append(np.where(window >= 0, window + count, _OUTSIDE)[judged])
        count += len(stream.windows)
    if not count:
        return np.nan
    best = _best(np.concatenate(ranks), np.concatenate(gains), np.concatenate(windows), profile)
    nothing = -profile.false_negative * count
    return 100.0 * (best - nothing) / (profile.true_positive * count - nothing)


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


def _best(ranks: Float64, gains: Float64, windows: Int64, profile: Profile) -> float:
    """Return the raw score at the best threshold: rows from the highest rank down, those of one rank together."""
    order = np.argsort(-ranks, kind="stable")
    ranks, gains, windows = ranks[order], gains[order], windows[order]
    held = dict.fromkeys(windows[windows >= 0].tolist(), -profile.false_negative)
    steps = gains.copy()
    for row in np.flatnonzero(windows >= 0).tolist():
        window = int(windows[row])
        better = max(held[window], float(gains[row]))
        steps[row], held[window] = better - held[window], better
    total = np.cumsum(steps) - profile.false_negative * len(held)
    complete = np.append(ranks[1:] != ranks[:-1], True)[: len(ranks)]
    return float(max(total[complete].max(initial=-np.inf), -profile.false_negative * len(held)))
