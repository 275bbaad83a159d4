"""The picture of a refit: rows in two dimensions by their clusters, centroids by their mass, and Ward's tree.

The one door to matplotlib, which is an extra: nothing else of the package needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import dendrogram

from detector.models.scale import standardised
from detector.refit.values import Candidate, Window
from detector.types import Float64

_INK, _NOISE = "#333333", "#d62728"
_COLOURS = [colormaps["tab20"](i) for i in (0, 2, 4, 8, 10, 12, 14, 16, 18, 1)]
"""Of the clusters: none is red, as noise is."""
_LISTED = 10
"""Clusters that get a colour and a line in the legend of their own; the rest share one."""
_LEAVES = 40
"""Branches that the tree is drawn with."""
_LARGEST = 900.0
"""Area of the heaviest centroid, in square points."""


def draw(file: Path, title: str, features: Sequence[str], window: Window, candidate: Candidate) -> None:
    """Draw one slot's window and candidate to a PNG or SVG, as the file's name ends; ValueError for another ending."""
    if file.suffix not in {".png", ".svg"}:
        message = f"{file}: expected a name that ends in .png or .svg"
        raise ValueError(message)
    has_tree = len(candidate.tree) > 0
    figure = Figure(figsize=(13.0 if has_tree else 9.0, 6.5), layout="constrained")
    panels = figure.subplots(1, 2, width_ratios=[3, 2], squeeze=False)[0] if has_tree else [figure.subplots()]
    _scatter(panels[0], features, window, candidate)
    if has_tree:
        _tree(panels[1], candidate)
    figure.suptitle(title, color=_INK, fontsize=13)
    figure.savefig(file, dpi=130, metadata={"Date": None} if file.suffix == ".svg" else None)


def components(z: Float64) -> tuple[Float64, Float64]:
    """Return the first two principal axes of rows z [n, D] as columns [D, 2], and their shares of the variance [2].

    Signs are such that the largest coefficient of an axis is positive, so the same rows give the same picture.
    """
    centred = z - z.mean(0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    axes, squares = np.zeros((2, z.shape[1])) + _padded(axes), _padded(singular[:, None] ** 2)[:, 0]
    axes *= np.where(np.take_along_axis(axes, np.abs(axes).argmax(1)[:, None], 1) < 0, -1.0, 1.0)
    return axes.T, squares / max(float((singular**2).sum()), 1e-12)


def _padded(values: Float64) -> Float64:
    """Return the first two rows; of one feature, or one row, there is one principal axis."""
    padded = np.zeros((2, *values.shape[1:]))
    padded[: len(values)] = values[:2]
    return padded


def _scatter(axes: Any, features: Sequence[str], window: Window, candidate: Candidate) -> None:
    z = standardised(window.rows, window.means, window.variances)
    base, shares = components(z)
    mean = z.mean(0)
    points = (z - mean) @ base
    for cluster in range(min(candidate.clusters, _LISTED + 1)):
        mine = candidate.labels >= cluster if cluster == _LISTED else candidate.labels == cluster
        name = f"{candidate.clusters - _LISTED} more" if cluster == _LISTED else f"cluster {cluster + 1}"
        colour = "#bbbbbb" if cluster == _LISTED else _COLOURS[cluster]
        axes.scatter(*points[mine].T, s=9, color=colour, alpha=0.6, linewidths=0, label=f"{name}: {mine.sum():,} rows")
    noise = points[candidate.noise]
    if len(noise):
        share = len(noise) / len(points)
        label = f"noise: {len(noise):,} rows ({share:.1%})"
        axes.scatter(*noise.T, s=22, marker="x", color=_NOISE, linewidths=1.0, label=label)
    _centroids(axes, window, candidate, base, mean)
    axes.set_xlabel(_axis(base[:, 0], shares[0], features))
    axes.set_ylabel(_axis(base[:, 1], shares[1], features))
    what = f"{len(points):,} rows, {_counted(candidate.clusters, 'cluster')}; axes in standard deviations"
    axes.set_title(what, color=_INK, fontsize=11)
    axes.grid(visible=True, color="#eeeeee")
    axes.set_axisbelow(True)
    axes.legend(loc="best", fontsize=8, framealpha=0.9)


def _centroids(axes: Any, window: Window, candidate: Candidate, base: Float64, mean: Float64) -> None:
    """Draw the first member's centroids: the others' lie about them."""
    k = window.centroids
    used = candidate.masses[:k] > 0
    z = standardised(candidate.centroids[:k][used], window.means, window.variances)
    masses = candidate.masses[:k][used]
    sizes = np.maximum(_LARGEST * masses / masses.max(), 12.0)
    label = f"{_counted(int(used.sum()), 'centroid')}, area by mass"
    axes.scatter(*((z - mean) @ base).T, s=sizes, facecolors="none", edgecolors=_INK, linewidths=1.3, zorder=3)
    axes.scatter([], [], s=60, facecolors="none", edgecolors=_INK, linewidths=1.3, label=label)


def _tree(axes: Any, candidate: Candidate) -> None:
    tree = candidate.tree
    merged = max(1, len(tree) - max(candidate.clusters, 1) + 1)
    above = tree[merged, 2] if merged < len(tree) else tree[-1, 2] * 1.05
    cut = (tree[merged - 1, 2] + above) / 2.0
    drawn = dendrogram(
        tree, p=_LEAVES, truncate_mode="lastp", ax=axes, color_threshold=0, above_threshold_color=_INK, no_labels=True
    )
    axes.axhline(cut, color=_NOISE, linewidth=1.0, linestyle="--", label=f"cut at {cut:.3g}")
    axes.set_title("Ward's tree", color=_INK, fontsize=11)
    leaves = "rows" if len(tree) + 1 == len(candidate.labels) else "groups of near rows"
    axes.set_xlabel(f"{len(drawn['ivl'])} branches of {len(tree) + 1:,} {leaves}")
    axes.set_ylabel("height of a merge, in standard deviations")
    axes.legend(loc="upper right", fontsize=8)


def _axis(direction: Float64, share: float, features: Sequence[str]) -> str:
    """Name an axis by its share of the variance and by the features that it follows most."""
    leading = np.argsort(-np.abs(direction), kind="stable")[:3]
    named = ", ".join(f"{'-' if direction[i] < 0 else ''}{features[i]}" for i in leading.tolist() if direction[i])
    return (
        f"{named} ... ({share:.0%} of the variance)" if len(features) > 3 else f"{named} ({share:.0%} of the variance)"
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
