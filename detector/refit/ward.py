"""`hierarchical`: Ward's tree, over weighted micro-clusters where rows are many."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.cluster import MiniBatchKMeans

from detector.types import Float64, Int64

_ROWS = 2_000
"""Rows that a tree is built over one by one: its distances are squares of them."""
_MICRO = 500
"""Micro-clusters that stand for more rows than that."""
_MOST = 32
"""Clusters among which the widest gap is looked for."""
_LEAST = 0.01
"""Merges below this share of the highest are one height: how far apart near rows lie says nothing of clusters."""


def hierarchical(
    z: Float64, weights: Float64, *, distance: float | None, count: int | None, seed: int
) -> tuple[Int64, Float64]:
    """Return the cluster of each row z [n, D] and the tree [m, 4] in SciPy's form."""
    if len(z) < 2:
        return np.zeros(len(z), np.int64), np.zeros((0, 4))
    if len(z) <= _ROWS and (weights == weights[0]).all():
        tree = linkage(z, "ward")
        return _cut(tree, distance, count), tree
    micro, of_row = _micro_clusters(z, weights, seed)
    held = np.bincount(of_row, weights, len(micro)).astype(np.float64)
    used = np.flatnonzero(held > 0)
    tree = weighted_ward(micro[used], held[used])
    labels = np.zeros(len(micro), np.int64)
    labels[used] = _cut(tree, distance, count)
    return labels[of_row], tree


def merged(z: Float64, weights: Float64, labels: Int64, most: int) -> Int64:
    """Return clusters of rows z [n, D] merged by Ward's rule until at most so many are left; noise (-1) stays noise."""
    names, of_row = np.unique(labels[labels >= 0], return_inverse=True)
    if len(names) <= most:
        return labels
    rows, held = z[labels >= 0], weights[labels >= 0]
    total = np.bincount(of_row, held, len(names)).astype(np.float64)
    means = np.stack([np.bincount(of_row, held * column, len(names)) for column in rows.T], 1) / total[:, None]
    joined = labels.copy()
    joined[labels >= 0] = _cut(weighted_ward(means, total), None, most)[of_row]
    return joined


def weighted_ward(points: Float64, weights: Float64) -> Float64:
    """Return Ward's tree over weighted points [m, D] as SciPy writes one: [m - 1, 4], two clusters, height, rows.

    SciPy's own counts each point once. The height of a merge is sqrt(2 a b / (a + b)) |p - q| for the weights a and b
    and the means p and q (Ward, 1963), which for equal weights is SciPy's to the factor sqrt(weight).
    """
    m = len(points)
    means, held, rows = points.astype(np.float64).copy(), weights.astype(np.float64).copy(), np.ones(m)
    held /= held.mean()
    number = np.arange(m)
    heights = np.full((m, m), np.inf)
    for i in range(m):
        heights[i, :i] = heights[:i, i] = _heights(means, held, i)[:i]
    tree = np.zeros((m - 1, 4))
    for step in range(m - 1):
        i, j = sorted(divmod(int(heights.argmin()), m))
        tree[step] = (*sorted((number[i], number[j])), np.sqrt(heights[i, j]), rows[i] + rows[j])
        both = held[i] + held[j]
        means[i] = (held[i] * means[i] + held[j] * means[j]) / both
        held[i], rows[i], number[i] = both, rows[i] + rows[j], m + step
        heights[j, :] = heights[:, j] = np.inf
        others = np.flatnonzero((number >= 0) & (np.arange(m) != i) & (np.arange(m) != j))
        number[j] = -1
        heights[i, others] = heights[others, i] = _heights(means, held, i)[others]
    return tree


def _heights(means: Float64, held: Float64, i: int) -> Float64:
    """Return the squared heights at which each point would join the i-th."""
    squares = ((means - means[i]) ** 2).sum(1)
    heights: Float64 = 2.0 * held * held[i] / (held + held[i]) * squares
    return heights


def _micro_clusters(z: Float64, weights: Float64, seed: int) -> tuple[Float64, Int64]:
    """Return the means of at most _MICRO micro-clusters [m, D], and that of each row [n]."""
    found = MiniBatchKMeans(min(_MICRO, len(z)), batch_size=2048, n_init=1, random_state=seed)
    labels = found.fit_predict(z, sample_weight=weights)
    return found.cluster_centers_.astype(np.float64), labels.astype(np.int64)


def _cut(tree: Float64, distance: float | None, count: int | None) -> Int64:
    """Cut the tree at a height, into a number of clusters, or at the widest gap between two merges.

    Gaps are ratios: heights grow with the rows of what is merged, so that by differences two heavy clusters far apart
    hid that a light one is none of them, and its rows were called noise.
    """
    if distance is None and count is None:
        last = np.maximum(tree[-_MOST:, 2], max(_LEAST * tree[-1, 2], 1e-12))
        gaps = np.diff(np.log(last))
        count = len(last) - int(gaps.argmax()) if len(gaps) and gaps.max() > 0 else 1
    at, criterion = (count, "maxclust") if count is not None else (distance, "distance")
    labels: Int64 = fcluster(tree, at, criterion).astype(np.int64)
    return labels - 1
