"""How well ranks tell anomalies from the rest: area under the ROC curve, and average precision.

The first 10 % of each stream are burn-in: they are scored and learned, and not judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from detector.quality.labelled import Run
from detector.types import Bool, Float64

BURN_IN = 0.1
"""Share of a stream that is not judged."""


class Quality(NamedTuple):
    """Area under the ROC curve and average precision, each NaN where nothing decides it."""

    roc: float
    ap: float


def mean(several: Sequence[Quality]) -> Quality:
    """Return the mean of each measure over those that have it."""
    return Quality(_mean([each.roc for each in several]), _mean([each.ap for each in several]))


def judged(rows: int) -> slice:
    """Return the part of a stream of so many rows that is judged."""
    return slice(int(rows * BURN_IN), rows)


def quality(run: Run, ranks: Float64) -> Quality:
    """Judge ranks [n], higher = more anomalous: the mean over the streams, each by itself."""
    streams = [run.rows(stream) for stream in range(len(run.streams))]
    return mean([_of_stream(run.labels[rows], ranks[rows]) for rows in streams])


def _of_stream(labels: Bool, ranks: Float64) -> Quality:
    part = judged(len(labels))
    labels, ranks = labels[part], ranks[part]
    if not labels.any():
        return Quality(np.nan, np.nan)
    roc = np.nan if labels.all() else float(roc_auc_score(labels, ranks))
    return Quality(roc, float(average_precision_score(labels, ranks)))


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else np.nan
