"""The detectors that run beside: each scores a batch of rows, then learns it.

Batches have 256 rows, in streams of fewer than 20,000 rows 32. A missing feature is given as the last value of its
stream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import accumulate

import numpy as np
from threadpoolctl import threadpool_limits

from detector.quality.labelled import Run
from detector.quality.peer_models import (
    Peer,
    PysadLoda,
    RunningZ,
    ScikitForest,
    ScikitKMeans,
    river_kmeans,
    river_trees,
)
from detector.types import Float64

_HALF_LIFE = 10.0
_FARTHEST = 1e300


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of peer: `make(features, rows)` begins one for a stream. `package` is what it needs, if anything."""

    name: str
    package: str | None
    make: Callable[[int, int], Peer]

    @property
    def installed(self) -> bool:
        """Whether it can run."""
        return self.package is None or find_spec(self.package) is not None


def score(kind: Kind, run: Run, done: Callable[[int], None]) -> Float64:
    """Return a peer's scores [n], stream by stream; `done` is told of rows as they are."""
    scores = np.zeros(len(run))
    for stream in range(len(run.streams)):
        rows = run.rows(stream)
        values = _filled(run.values[rows].astype(np.float64))
        peer = kind.make(values.shape[1], len(values))
        batch = 256 if len(values) >= 20_000 else 32
        with threadpool_limits(1):  # for so few rows, threads cost ten times what they save
            for start in range(0, len(values), batch):
                part = slice(start, start + batch)
                found = np.asarray(peer.score_learn(values[part]), np.float64)
                scores[rows[part]] = np.nan_to_num(found, nan=0.0, posinf=_FARTHEST, neginf=-_FARTHEST)
                done(len(found))
    return scores


def smoothed(run: Run, scores: Float64) -> Float64:
    """Return scores [n] smoothed by a causal exponential mean over each stream, of 10 rows' half-life."""
    keep = 0.5 ** (1.0 / _HALF_LIFE)
    smooth = np.empty(len(run))
    for stream in range(len(run.streams)):
        rows = run.rows(stream)
        means = accumulate(scores[rows].tolist(), lambda mean, score: keep * mean + (1.0 - keep) * score)
        smooth[rows] = list(means)
    return smooth


def _filled(values: Float64) -> Float64:
    """Put the last value before in place of each that is missing or infinite, 0 where there is none."""
    known = np.where(np.isfinite(values), np.arange(len(values))[:, None], 0)
    last = np.take_along_axis(values, np.maximum.accumulate(known, axis=0), axis=0)
    return np.where(np.isfinite(last), last, 0.0)


KINDS = (
    Kind("running z", None, lambda features, _: RunningZ(features)),
    Kind("sklearn IsolationForest", None, lambda _, rows: ScikitForest(rows)),
    Kind("sklearn MiniBatchKMeans", None, lambda _features, _rows: ScikitKMeans()),
    Kind("River HalfSpaceTrees", "river", river_trees),
    Kind("River KMeans", "river", river_kmeans),
    Kind("PySAD LODA", "pysad", lambda features, _: PysadLoda(features)),
)
