"""The configuration's `refit` as values of this package; apart from them, as the process need not import it."""

from __future__ import annotations

from detector.config.sections import Refit
from detector.refit.limits import Limits
from detector.refit.values import Parameters


def parameters(refit: Refit) -> Parameters:
    """Return how to cluster."""
    tree = refit.hierarchical
    return Parameters(
        refit.algorithm, refit.dbscan.eps, refit.dbscan.min_samples, tree.distance, tree.count, refit.kmeans.k
    )


def limits(refit: Refit) -> Limits:
    """Return what the process may use."""
    given = refit.limits
    return Limits(given.cpu, given.memory, given.time, given.threads)
