"""Other detectors, each behind one small interface. River and PySAD are imported where one of theirs begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.ensemble import IsolationForest
from sklearn.preprocessing import StandardScaler

from detector.types import Float64

_CLUSTERS = 16
_FAR = 1e6


class Peer(Protocol):
    """Another detector."""

    def score_learn(self, rows: Float64) -> Float64:
        """Return how anomalous each of the rows [m, D] is, judged before any of them is learned."""


class RunningZ:
    """The largest |z| of a row's features against the mean and variance of all earlier rows."""

    def __init__(self, features: int) -> None:
        self._n = 0
        self._mean = np.zeros(features)
        self._squares = np.zeros(features)

    def score_learn(self, rows: Float64) -> Float64:
        """Score rows, then learn them."""
        scores: Float64 = np.abs(self.standardised(rows)).max(1) if self._n > 1 else np.zeros(len(rows))
        self.learn(rows)
        return scores

    def standardised(self, rows: Float64) -> Float64:
        """Return z of rows [m, D]."""
        deviation = np.sqrt(self._squares / self._n)
        z: Float64 = (rows - self._mean) / np.maximum(deviation, 1e-6 + 1e-6 * np.abs(self._mean))
        return z

    def learn(self, rows: Float64) -> None:
        """Add rows by the parallel formula of Chan, Golub & LeVeque (1979)."""
        mean = rows.mean(0)
        away, total = mean - self._mean, self._n + len(rows)
        self._squares += ((rows - mean) ** 2).sum(0) + away**2 * self._n * len(rows) / total
        self._mean += away * len(rows) / total
        self._n = total


class ScikitKMeans:
    """scikit-learn's MiniBatchKMeans: the distance to the nearest centre, over running standardisation."""

    def __init__(self) -> None:
        self._scaler = StandardScaler()
        self._kmeans = MiniBatchKMeans(_CLUSTERS, random_state=0, n_init=1)
        self._waiting: list[Float64] | None = []

    def score_learn(self, rows: Float64) -> Float64:
        """Score rows, then learn them."""
        begun = self._waiting is None
        scores = self._kmeans.transform(self._scaler.transform(rows)).min(1) if begun else np.zeros(len(rows))
        self._scaler.partial_fit(rows)
        if self._waiting is not None:
            self._waiting.append(rows)
            rows = np.concatenate(self._waiting)
            if len(rows) < 2 * _CLUSTERS:
                return scores
            self._waiting = None
        self._kmeans.partial_fit(self._scaler.transform(rows))
        return scores


class ScikitForest:
    """scikit-learn's IsolationForest: fitted once, on the first 10 % of the rows, which it does not score."""

    def __init__(self, rows: int) -> None:
        self._needed = max(int(0.1 * rows), 2)
        self._waiting: list[Float64] = []
        self._forest = IsolationForest(n_estimators=100, random_state=0, n_jobs=1)
        self._fitted = False

    def score_learn(self, rows: Float64) -> Float64:
        """Score rows, then learn them."""
        if self._fitted:
            scores: Float64 = -self._forest.score_samples(rows)
            return scores
        self._waiting.append(rows)
        if sum(map(len, self._waiting)) >= self._needed:
            self._forest.fit(np.concatenate(self._waiting)[: self._needed])
            self._fitted, self._waiting = True, []
        return np.zeros(len(rows))


class _River:
    """A model of River's, a row at a time behind one of its scalers."""

    def __init__(self, model: Any, scaler: Any, score_one: Callable[[Any, dict[int, float]], float]) -> None:
        self._model = model
        self._scaler = scaler
        self._score_one = score_one

    def score_learn(self, rows: Float64) -> Float64:
        """Score rows, then learn them."""
        scores = np.zeros(len(rows))
        for place, row in enumerate(rows.tolist()):
            features = dict(enumerate(row))
            scores[place] = self._score_one(self._model, self._scaler.transform_one(features))
            self._scaler.learn_one(features)
            self._model.learn_one(self._scaler.transform_one(features))
        return scores


def river_trees(_features: int, _rows: int) -> Peer:
    """Return River's half-space trees, over running min-max scaling."""
    from river import anomaly, preprocessing  # noqa: PLC0415 - it need not be installed

    trees = anomaly.HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=0)
    return _River(trees, preprocessing.MinMaxScaler(), lambda model, row: model.score_one(row))


def river_kmeans(_features: int, _rows: int) -> Peer:
    """Return River's KMeans: the distance to the nearest centre, over running standardisation."""
    from river import cluster, preprocessing  # noqa: PLC0415 - it need not be installed

    def distance(model: Any, row: dict[int, float]) -> float:
        squares = (sum((row[d] - centre[d]) ** 2 for d in row) for centre in model.centers.values())
        return float(min(squares, default=0.0) ** 0.5)

    kmeans = cluster.KMeans(n_clusters=_CLUSTERS, halflife=0.1, sigma=1, seed=0)
    return _River(kmeans, preprocessing.StandardScaler(), distance)


class PysadLoda:
    """PySAD's LODA, a row at a time, over the standardisation as of the last batch."""

    def __init__(self, features: int) -> None:
        from pysad.models import LODA  # noqa: PLC0415 - it need not be installed

        self._model = LODA(num_bins=10, num_random_cuts=100, random_state=0)
        self._scale = RunningZ(features)
        self._begun = False

    def score_learn(self, rows: Float64) -> Float64:
        """Score rows, then learn them."""
        scores = np.zeros(len(rows))
        standardised = np.clip(self._scale.standardised(rows), -_FAR, _FAR) if self._begun else rows
        for place, row in enumerate(standardised):
            if self._begun or place:
                scores[place] = float(np.ravel(self._model.score_partial(row))[0])
            self._model.fit_partial(row)
        self._begun = True
        self._scale.learn(rows)
        return scores
