"""`kmeans`, and the placing of a model's centroids within the clusters that any algorithm found."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from detector.refit.ward import merged
from detector.types import Float64, Int64

_SAMPLE = 1_000
"""Rows that a silhouette is taken over: it compares all of them with each other."""
_STRUCTURE = 0.25
"""A mean silhouette below this is no substantial structure: one cluster (Kaufman & Rousseeuw, 1990)."""


def kmeans(z: Float64, weights: Float64, *, k: int | None, most: int, seed: int) -> Int64:
    """Return the cluster of each row z [n, D]: k of them, or as many (up to `most`) as have the best silhouette."""
    distinct = len(np.unique(z, axis=0))
    if k is not None:
        return _fitted(z, weights, min(k, distinct), seed)
    sample = np.random.default_rng(seed).permutation(len(z))[:_SAMPLE]
    best, labels = _STRUCTURE, np.zeros(len(z), np.int64)
    for clusters in range(2, min(most, distinct - 1) + 1):
        found = _fitted(z, weights, clusters, seed)
        if 1 < len(np.unique(found[sample])) < len(sample):
            score = float(silhouette_score(z[sample], found[sample]))
            if score > best:
                best, labels = score, found
    return labels


def place(z: Float64, weights: Float64, labels: Int64, centroids: int, seed: int) -> Float64:
    """Return at most K centroids [k, D] of the clustered rows z [n, D], each within one cluster.

    Every cluster has one; those left over split the clusters whose rows lie furthest apart, so that a long or curved
    cluster is followed by several. Where there are more clusters than centroids, they are merged by Ward's rule first.
    """
    labels = merged(z, weights, labels, centroids)
    parts = [np.flatnonzero(labels == cluster) for cluster in np.unique(labels[labels >= 0]).tolist()]
    shares = _shares(np.array([_inertia(z[part], weights[part]) for part in parts]), centroids - len(parts))
    placed = [_means(z[part], weights[part], 1 + share, seed) for part, share in zip(parts, shares, strict=True)]
    return np.concatenate(placed) if placed else np.zeros((0, z.shape[1]))


def _shares(inertias: Float64, spare: int) -> list[int]:
    """Deal out spare centroids one by one, each where a cluster's inertia over its centroids squared is greatest.

    In two dimensions or more inertia falls about as 1/k with k centroids: the next gains inertia / k^2.
    """
    held = np.ones(len(inertias))
    for _ in range(spare if inertias.any() else 0):
        held[int((inertias / (held * held)).argmax())] += 1
    return (held - 1).astype(int).tolist()


def _inertia(z: Float64, weights: Float64) -> float:
    mean = np.average(z, axis=0, weights=weights)
    return float((weights[:, None] * (z - mean) ** 2).sum())


def _means(z: Float64, weights: Float64, k: int, seed: int) -> Float64:
    k = min(k, len(np.unique(z, axis=0)))
    if k == 1:
        return np.average(z, axis=0, weights=weights)[None]
    fitted = KMeans(k, n_init=1, random_state=seed).fit(z, sample_weight=weights)
    centres: Float64 = fitted.cluster_centers_.astype(np.float64)
    return centres


def _fitted(z: Float64, weights: Float64, k: int, seed: int) -> Int64:
    labels: Int64 = KMeans(k, n_init=4, random_state=seed).fit_predict(z, sample_weight=weights).astype(np.int64)
    return labels
