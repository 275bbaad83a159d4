"""Where centroids come from: k-means++ over a slot's first rows, and the splitting of the heaviest for a dead one.

Randomness is a hash of (topic, partition, entity, ...) alone, so that a replay draws the same.
"""

from __future__ import annotations

import hashlib
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.models.scale import scales, standardised
from detector.types import Float32, Float64, Int64

UInt64 = NDArray[np.uint64]

_LLOYD_TURNS = 8
_RUNS = 8
_ROWS_A_RUN = 128
"""One run for so many rows, _RUNS at most: of eight blobs one run misses one every eighth time, four miss none."""
_WORK = 1 << 20
"""Values compared at once over all runs, at most: seeding holds the rows up."""
_GRID = 2.0**14
"""Steps of a standardised value: coarse enough for sums of 512 squares of over 100 features to be exact in float64."""
_RUN_STEP = 0xD1B54A32D192ED03
_DEAD_SHARE = 0.01
"""A centroid is dead when it holds less than this share of an even part of its slot's mass."""


class Seeds(NamedTuple):
    """Centroids of S slots: coordinates [S, K, D], masses [S, K] (0 = unused), spreads [S, K]; all float32."""

    centroids: Float32
    masses: Float32
    spreads: Float32


def draw_key(*parts: str | int) -> int:
    """Hash a draw's name to 64 bits: the same in every process."""
    name = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")


def uniforms(keys: UInt64, draw: int | UInt64) -> Float64:
    """Return the draw-th uniform number in [0, 1) of each key (splitmix64: Steele, Lea & Flood, 2014).

    Several draws at once are broadcast against the keys.
    """
    with np.errstate(over="ignore"):
        z = keys + np.uint64(0x9E3779B97F4A7C15) * (np.asarray(draw, np.uint64) + np.uint64(1))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    drawn: Float64 = (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return drawn


def seed(rows: Float32, mean: Float32, var: Float32, centroids: int, keys: UInt64) -> tuple[Seeds, Float64]:
    """Choose centroids for S slots: k-means++, a few turns of Lloyd's algorithm, and the best of several such runs.

    rows float32 [S, R, D] (NaN = missing: taken as the mean), mean and var float32 [S, D], keys uint64 [S].
    Returns too how far each row would lie from its centroid if that had been made without it, standardised by the mean
    and variance, float64 [S, R, D]: see `_without`.
    Where a slot has fewer than K distinct rows, the centroids left over get no mass.
    """
    slots, count, features = rows.shape
    centre, scale = np.nan_to_num(mean.astype(np.float64))[:, None, :], scales(mean, var)[:, None, :]
    z = _on_grid(standardised(rows, mean[:, None, :], var[:, None, :]))
    runs = max(1, min(_RUNS, count // _ROWS_A_RUN, _WORK // (count * centroids * features)))
    steps: UInt64 = np.arange(runs, dtype=np.uint64) * np.uint64(_RUN_STEP)
    run_keys: UInt64 = np.add.outer(keys, steps).reshape(-1)
    z = np.repeat(z, runs, axis=0)
    norms = (z * z).sum(2)
    chosen, used = _plus_plus(z, norms, centroids, run_keys)
    for _ in range(_LLOYD_TURNS):
        _, nearest = _nearest(z, norms, chosen, used)
        won = (nearest[:, None, :] == np.arange(centroids)[:, None]).astype(np.float64)
        counts = won.sum(2, keepdims=True)
        chosen = np.where(counts > 0, _on_grid(won @ z / np.maximum(counts, 1.0)), chosen)
    squares, nearest = _nearest(z, norms, chosen, used)
    best = np.arange(slots) * runs + squares.sum(1).reshape(slots, runs).argmin(1)
    chosen, squares, nearest = chosen[best], squares[best], nearest[best]
    won = (nearest[:, None, :] == np.arange(centroids)[:, None]).astype(np.float64)
    counts = won.sum(2)
    spreads = (won @ squares[:, :, None])[:, :, 0] / np.maximum(counts, 1.0)
    coordinates = (centre + chosen * scale).astype(np.float32)
    apart = _without(z[best], chosen, counts, nearest)
    return Seeds(coordinates, counts.astype(np.float32), spreads.astype(np.float32)), apart


def _without(z: Float64, chosen: Float64, counts: Float64, nearest: Int64) -> Float64:
    """Return how far each row [S, R, D] lies from the centroid nearest to it [S, K, D], made without that row.

    A centroid lies nearer to the rows that it was made from than to any that come later: where there are no more
    different rows than centroids, each of them lies on its own, and all distances would be 0. Without one of its n rows
    a centroid lies n / (n - 1) times as far from it; where it is the only one, the next centroid is the nearest.
    """
    own = np.take_along_axis(counts, nearest, 1)
    apart = z - np.take_along_axis(chosen, nearest[:, :, None], 1)
    apart *= (own / np.maximum(own - 1.0, 1.0))[:, :, None]
    slots, rows = np.nonzero(own == 1.0)
    if len(slots):
        usable = counts[slots] > 0
        usable[np.arange(len(slots)), nearest[slots, rows]] = False
        to_others = z[slots, rows][:, None, :] - chosen[slots]
        squares = np.where(usable, (to_others * to_others).sum(2), np.inf)
        others = to_others[np.arange(len(slots)), squares.argmin(1)]
        apart[slots, rows] = np.where(usable.any(1, keepdims=True), others, 0.0)
    return apart


def _on_grid(z: Float64) -> Float64:
    """Round standardised values to a grid on which products and sums of them are exact.

    So no order of adding up, and no kernel that a processor gets from BLAS, changes a bit.
    """
    rounded: Float64 = np.rint(z * _GRID) / _GRID
    return rounded


def _plus_plus(z: Float64, norms: Float64, centroids: int, keys: UInt64) -> tuple[Float64, NDArray[np.bool_]]:
    """Return rows chosen by greedy k-means++ [S, K, D], and which of them are of any use [S, K].

    Of a few rows drawn with the probability of their squared distance to those chosen, the one that brings the sum of
    squares down most is taken (Arthur & Vassilvitskii, 2007).
    """
    slots, rows, features = z.shape
    every, draws = np.arange(slots), 2 + int(math.log(centroids))
    chosen = np.zeros((slots, centroids, features))
    used = np.zeros((slots, centroids), np.bool_)
    chosen[:, 0] = z[every, (uniforms(keys, 0) * rows).astype(np.int64)]
    used[:, 0] = True
    squares = _squares(z, norms, chosen[:, :1])[:, 0]
    for k in range(1, centroids):
        sums = np.cumsum(squares, axis=1)
        used[:, k] = sums[:, -1] > 0
        targets = uniforms(keys[:, None], np.arange(k * draws, (k + 1) * draws, dtype=np.uint64)) * sums[:, -1:]
        drawn = np.minimum((sums[:, None] <= targets[:, :, None]).sum(2), rows - 1)
        candidates = z[every[:, None], drawn]
        left = np.minimum(squares[:, None], _squares(z, norms, candidates))
        best = left.sum(2).argmin(1)
        chosen[:, k], squares = candidates[every, best], left[every, best]
    return chosen, used


def _nearest(z: Float64, norms: Float64, chosen: Float64, used: NDArray[np.bool_]) -> tuple[Float64, Int64]:
    """Return the squared distance to the nearest centroid in use, and its number [S, R]."""
    squares = np.where(used[:, :, None], _squares(z, norms, chosen), np.inf)
    return squares.min(1), squares.argmin(1)


def _squares(z: Float64, norms: Float64, points: Float64) -> Float64:
    """Return the squared distances between points [S, P, D] and rows [S, R, D], whose squared norms are known.

    [S, P, R]. The square is expanded: on the grid nothing is rounded, so nothing cancels.
    """
    of_points = (points * points).sum(2)[:, :, None]
    squares: Float64 = norms[:, None] - 2.0 * (points @ z.transpose(0, 2, 1)) + of_points
    return squares


def may_be_dead(masses: Float32) -> NDArray[np.bool_]:
    """Tell which slots [S] have a centroid with so little mass [S, K] that it is dead, unless it is to be spared."""
    little: NDArray[np.bool_] = masses.min(1) < _DEAD_SHARE * masses.sum(1) / masses.shape[1]
    return little


def split_dead(seeds: Seeds, mean: Float32, var: Float32, keys: UInt64, spare: NDArray[np.bool_]) -> Int64:
    """Give each slot's deadest centroid half of its heaviest one, in place; returns its number [S], -1 = none is dead.

    Those to `spare` [S, K] are never dead.
    The two halves move apart by the heaviest one's own spread, a sign a feature: a fixed shift such as 1e-14 would
    vanish in float32. A heaviest centroid without spread (all rows equal) is left whole.
    """
    masses, spreads = seeds.masses, seeds.spreads
    slots, count = masses.shape
    every = np.arange(slots)
    heaviest, dead = masses.argmax(1), np.where(spare, np.inf, masses).argmin(1)
    features = seeds.centroids.shape[2]
    is_dead = (masses[every, dead] < _DEAD_SHARE * masses.sum(1) / count) & ~spare[every, dead]
    changed: NDArray[np.bool_] = is_dead & (spreads[every, heaviest] > 1e-9) & (heaviest != dead)
    at, source, target = every[changed], heaviest[changed], dead[changed]
    drawn = uniforms(keys[changed][:, None], np.arange(features, dtype=np.uint64))
    signs = np.where(drawn < 0.5, -1.0, 1.0)
    step = np.sqrt(spreads[at, source].astype(np.float64) / features)[:, None] * signs * scales(mean, var)[at]
    origin = seeds.centroids[at, source].astype(np.float64)
    seeds.centroids[at, source], seeds.centroids[at, target] = origin - 0.5 * step, origin + 0.5 * step
    half = 0.5 * masses[at, source]
    masses[at, source], masses[at, target] = half, half
    spreads[at, source] = spreads[at, target] = 0.5 * spreads[at, source]
    return np.where(changed, dead, -1)
