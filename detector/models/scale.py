"""The scale that distances are measured on: what the program, seeding and the refit share, without TensorFlow."""

from __future__ import annotations

import numpy as np

from detector.types import Float32, Float64

CLIP = 10.0
"""Standard deviations at which a feature is clipped for assignment and learning."""
OWN_ROWS = 300.0
"""Rows of a cluster after which its own spread counts for as much as that of all clusters."""
LITTLE = 1e-9
"""Beside it spreads count: where none is, no cluster is broader than another."""


def breadths(masses: Float64, spreads: Float64) -> Float64:
    """Return how broad each cluster [..., K] is beside all of its member's, as factors of a variance [..., K].

    A cluster that is tight by itself makes a small deviation surprising, and one that is loose makes it ordinary (local
    outlier factors of clusters: Amer & Goldstein, RapidMiner, 2012). But its spread is known from few rows, so that all
    clusters' counts as OWN_ROWS of them; and all of its features share that spread, so that it is believed half way, in
    logarithms. As the program has it; 1 where nothing is spread.
    """
    total = np.maximum(masses.sum(-1, keepdims=True), LITTLE)
    pooled = (masses * spreads).sum(-1, keepdims=True) / total
    ratio = (OWN_ROWS * pooled + masses * spreads + LITTLE) / ((OWN_ROWS + masses) * pooled + LITTLE)
    return np.asarray(np.sqrt(ratio), np.float64)


def scales(mean: Float32, var: Float32) -> Float64:
    """Return the standard deviation that distances are measured in, as the program has it; a NaN mean counts as 0."""
    known = np.nan_to_num(mean.astype(np.float64))
    scale: Float64 = np.sqrt(var.astype(np.float64)) + 0.01 * np.abs(known) + 1e-9
    return scale


def standardised(rows: Float32, mean: Float32, var: Float32) -> Float64:
    """Return rows [..., D] in units of `scales` about the mean, clipped; what is missing is taken as the mean."""
    centre = np.nan_to_num(mean.astype(np.float64))
    z: Float64 = np.clip(np.nan_to_num((rows - centre) / scales(mean, var)), -CLIP, CLIP)
    return z
