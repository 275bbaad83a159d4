"""`dbscan`: clusters are where rows lie dense; what lies alone is noise (Ester, Kriegel, Sander & Xu, KDD 1996)."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import DBSCAN
from sklearn.neighbors import NearestNeighbors

from detector.types import Float64, Int64

_LEAST_EPS = 1e-6
"""Rows that are all alike have neighbours at distance 0, and DBSCAN wants a radius."""


def dbscan(z: Float64, weights: Float64, *, eps: float | None, min_samples: int) -> Int64:
    """Return the cluster of each row z [n, D], -1 = noise."""
    if eps is None:
        eps = knee(k_distances(z, min_samples))
    labels: Int64 = DBSCAN(eps=max(eps, _LEAST_EPS), min_samples=min_samples).fit_predict(z, sample_weight=weights)
    return labels.astype(np.int64)


def k_distances(z: Float64, k: int) -> Float64:
    """Return each row's distance to its k-th neighbour (itself the first) [n], rising."""
    k = min(k, len(z))
    distances: Float64 = NearestNeighbors(n_neighbors=k).fit(z).kneighbors(z)[0][:, -1]
    return np.sort(distances)


def knee(rising: Float64) -> float:
    """Return the value at which a rising curve [n] bends up.

    The point furthest below the chord between its ends (Satopää, Albrecht, Irwin & Raghavan, 2011).
    """
    low, high = float(rising[0]), float(rising[-1])
    if high <= low:
        return high
    below = np.linspace(0.0, 1.0, len(rising)) - (rising - low) / (high - low)
    return float(rising[int(below.argmax())])
