"""What goes into a refit and what comes out of it: one slot's window, and its candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from detector.types import Bool, Float32, Float64, Int64


@dataclass(frozen=True, slots=True)
class Parameters:
    """How to cluster; the keys of the configuration's `refit`, flat.

    eps          radius of `dbscan`, in standard deviations of the features; None = the knee of the k-distances
    min_samples  rows (by weight) that make a neighbourhood dense, and the least that `hierarchical` and `kmeans` call
                 a cluster
    distance     height at which `hierarchical` cuts the tree, and count, into how many clusters; neither = at the
                 widest gap between two merges
    k            clusters of `kmeans`; None = by silhouette
    """

    algorithm: Literal["dbscan", "hierarchical", "kmeans"] = "dbscan"
    eps: float | None = None
    min_samples: int = 10
    distance: float | None = None
    count: int | None = None
    k: int | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of one slot, and the model that its candidate has to fit.

    rows       float32 [n, D]  in the units of the features; NaN = missing
    weights    float64 [n]     how many rows each stands for
    means      float32 [D]     the slot's running means, NaN where a feature was never seen
    variances  float32 [D]     and variances: together the scale on which rows are compared
    centroids  K of each of `members` members
    within     distances are measured by the features' spread within the clusters, not by their spread in all
    own        and by how broad the row's own cluster is beside the others
    seed       what randomness is drawn from
    times      float64 [n]     event times of the rows; None where they do not matter
    """

    rows: Float32
    weights: Float64
    means: Float32
    variances: Float32
    centroids: int
    members: int = 1
    within: bool = True
    own: bool = False
    seed: int = 0
    times: Float64 | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a refit proposes for a slot, to be taken up all together. C = M K centroids, a member's after the other's.

    centroids  float32 [C, D]  in the units of the features
    masses     float32 [C]     weights of the rows that each won, over the members alike; 0 = no centroid
    spreads    float32 [C]     mean squared standardised distance of those rows
    within     float32 [D]     variances about the nearest centroid
    labels     int64   [n]     cluster of each row, by falling weight; -1 = noise
    distances  float64 [n]     distance of each row as the program measures it: the mean over the members
    sketch     float64 [3]     calibration: 95 % quantile of the distances, mean excess over it, rows it stands for
    clusters   number of clusters found
    tree       float64 [m, 4]  the merges as SciPy writes them, `hierarchical` alone; else m = 0
    firsts     float64 [C]     times of the first and the last row that each centroid won, 0 where it won none;
    lasts                      noise does not count
    """

    centroids: Float32
    masses: Float32
    spreads: Float32
    within: Float32
    labels: Int64
    distances: Float64
    sketch: Float64
    clusters: int
    tree: Float64
    firsts: Float64
    lasts: Float64

    @property
    def noise(self) -> Bool:
        """Tell which rows [n] belong to no cluster."""
        noise: Bool = self.labels < 0
        return noise
