"""From a window of rows to a candidate: cluster, tell noise, place the centroids, calibrate. A pure function.

How each member gets its centroids: all have the same clusters and the same noise, found once over all rows; a member's
centroids are then placed within the clusters (`centres.place`) over a bootstrap of its own (each row counted 0, 1, 2,
... times as Poisson(1) says), so members differ as they do when they are seeded, and their mean has less noise. The
first member has all rows; so has the only one of an entity.
"""

from __future__ import annotations

import numpy as np

from detector.models.calibration import begun
from detector.models.scale import breadths, scales, standardised
from detector.refit.centres import kmeans, place
from detector.refit.density import dbscan
from detector.refit.values import Candidate, Parameters, Window
from detector.refit.ward import hierarchical
from detector.types import Float64, Int64

_FENCE = 3.0
"""Rows so many interquartile ranges beyond the third quartile of their cluster's distances are noise (Tukey, 1977)."""


def fit(window: Window, parameters: Parameters) -> Candidate:
    """Return the candidate of one slot. The same window and parameters give the same candidate."""
    z = standardised(window.rows, window.means, window.variances)
    labels, tree = _cluster(z, window, parameters)
    labels, clusters = _by_weight(labels, window.weights)
    if not clusters:  # nothing is dense: the rows as they are make one cluster, all of it told to be noise
        members = [place(z, window.weights, np.zeros(len(z), np.int64), window.centroids, window.seed)]
        members *= window.members
    else:
        members = [_member(z, window, labels, member) for member in range(window.members)]
    return _candidate(z, window, labels, clusters, members, tree)


def _cluster(z: Float64, window: Window, parameters: Parameters) -> tuple[Int64, Float64]:
    weights, no_tree = window.weights, np.zeros((0, 4))
    match parameters.algorithm:
        case "dbscan":
            return dbscan(z, weights, eps=parameters.eps, min_samples=parameters.min_samples), no_tree
        case "hierarchical":
            labels, tree = hierarchical(
                z, weights, distance=parameters.distance, count=parameters.count, seed=window.seed
            )
        case "kmeans":
            labels = kmeans(z, weights, k=parameters.k, most=window.centroids, seed=window.seed)
            tree = no_tree
    return _without_noise(z, weights, labels, parameters.min_samples), tree


def _without_noise(z: Float64, weights: Float64, labels: Int64, least: int) -> Int64:
    """Take out of the clusters what these algorithms put into one all the same: tiny clusters, and rows far out."""
    labels = labels.copy()
    for cluster in np.unique(labels).tolist():
        rows = np.flatnonzero(labels == cluster)
        if weights[rows].sum() < least:
            labels[rows] = -1
            continue
        apart = np.sqrt(((z[rows] - np.average(z[rows], axis=0, weights=weights[rows])) ** 2).sum(1))
        low, high = np.quantile(apart, [0.25, 0.75])
        labels[rows[apart > high + _FENCE * (high - low) + 1e-12]] = -1
    return labels


def _by_weight(labels: Int64, weights: Float64) -> tuple[Int64, int]:
    """Renumber clusters by falling weight; returns how many there are."""
    names = np.unique(labels[labels >= 0])
    held = np.array([weights[labels == name].sum() for name in names.tolist()])
    numbers = np.full(int(labels.max(initial=-1)) + 2, -1, np.int64)
    numbers[names[np.argsort(-held, kind="stable")]] = np.arange(len(names))
    return numbers[labels], len(names)


def _member(z: Float64, window: Window, labels: Int64, member: int) -> Float64:
    """Place one member's centroids [k, D]."""
    clustered = labels >= 0
    counts = np.ones(len(z))
    if member:
        counts = np.random.default_rng([window.seed, member]).poisson(1.0, len(z)).astype(np.float64)
        clustered = clustered & (counts > 0)
    at = np.flatnonzero(clustered)
    return place(z[at], (window.weights * counts)[at], labels[at], window.centroids, window.seed + member)


def _candidate(  # noqa: PLR0913, PLR0917 - what a candidate is put together from
    z: Float64, window: Window, labels: Int64, clusters: int, members: list[Float64], tree: Float64
) -> Candidate:
    """Let each member's centroids win rows as the model's do, and measure."""
    k, features, weights = window.centroids, z.shape[1], window.weights
    centre, scale = np.nan_to_num(window.means.astype(np.float64)), scales(window.means, window.variances)
    centroids = np.tile(centre, (window.members, k, 1))
    masses, spreads = np.zeros((window.members, k)), np.zeros((window.members, k))
    firsts, lasts = np.full((window.members, k), np.inf), np.full((window.members, k), -np.inf)
    times, clustered = window.times if window.times is not None else np.zeros(len(z)), labels >= 0
    apart, broad = np.zeros((window.members, *z.shape)), np.ones((window.members, len(z), 1))
    for member, placed in enumerate(members):
        squares = ((z[:, None] - placed) ** 2).sum(2)
        nearest = squares.argmin(1)
        apart[member] = z - placed[nearest]
        won = np.bincount(nearest, weights, k)
        masses[member] = won
        np.minimum.at(firsts[member], nearest[clustered], times[clustered])
        np.maximum.at(lasts[member], nearest[clustered], times[clustered])
        spreads[member] = np.bincount(nearest, weights * squares.min(1), k) / np.maximum(won, 1e-12)
        centroids[member, : len(placed)] = centre + placed * scale
        if window.own:
            broad[member, :, 0] = breadths(masses[member], spreads[member])[nearest]
    within = np.average((apart**2).mean(0), axis=0, weights=weights)
    measure = within + 1e-12 if window.within else np.ones(features)
    observed = np.isfinite(window.rows)
    parts = np.where(observed, apart**2 / (measure * broad), 0.0).sum(2) * (features / np.maximum(observed.sum(1), 1))
    distances = np.sqrt(parts).mean(0)
    return Candidate(
        centroids.reshape(-1, features).astype(np.float32),
        masses.reshape(-1).astype(np.float32),
        spreads.reshape(-1).astype(np.float32),
        (within * scale * scale).astype(np.float32),
        labels,
        distances,
        begun(distances[None])[0],
        clusters,
        tree,
        np.where(np.isfinite(firsts), firsts, 0.0).reshape(-1),
        np.where(np.isfinite(lasts), lasts, 0.0).reshape(-1),
    )
