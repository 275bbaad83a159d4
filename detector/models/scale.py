"""The scale that distances are measured on: what the program, seeding and the refit share, without TensorFlow."""

from __future__ import annotations

import numpy as np

from detector.types import Float32, Float64

CLIP = 10.0
"""Standard deviations at which a feature is clipped for assignment and learning."""


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
