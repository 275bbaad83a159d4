"""Strays: what a gap sets apart, what a tail makes unlikely, and what is neither."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from detector.models.strays import LEAST_GAP, Outer, behind_gap, unlikely
from detector.types import Float64

EDGES = 4.0 * 2.0 ** (np.arange(400) / 32.0)
"""Of bins as a reference has them, from the quantile on: excesses over it have mean 1."""


def outer(excesses: Float64, total: float | None = None) -> Outer:
    """Return the outermost twentieth of a reference that holds these excesses."""
    counts = np.histogram(4.0 + excesses, EDGES)[0].astype(np.float64)
    beyond = np.append(np.cumsum(counts[::-1])[::-1], 0.0)
    return Outer(EDGES, counts, beyond, 20.0 * len(excesses) if total is None else total)


def heaviest(n: int, seed: int) -> Float64:
    """Draw excesses of the heaviest tail that has a variance."""
    drawn: Float64 = stats.genpareto(0.5, scale=0.5).rvs(n, random_state=np.random.default_rng(seed))
    return drawn


@pytest.mark.parametrize("rows", [100, 1500])
def test_a_tail_leaves_no_gap_by_chance_however_heavy_it_is(rows: int) -> None:
    found = sum(behind_gap(outer(heaviest(rows, seed))) is not None for seed in range(500))
    # So many gaps are looked at, each with a chance of one in a thousand; with more rows beyond none is wide enough.
    few = min(0.005 * 20 * rows, 0.5 * math.log(1000.0) / LEAST_GAP)
    assert found <= stats.poisson(500 * few * 1e-3).ppf(0.999)


@pytest.mark.parametrize("strays", [3, 10, 100])
def test_the_fewer_they_are_the_wider_must_the_gap_be(strays: int) -> None:
    body = np.linspace(0.0, 9.0, 2000)
    # From the largest other one, 9, and from the first of them the logarithm has to grow by shape ln(1000) / strays.
    least = 10.0 * math.exp(max(0.5 * math.log(1000.0) / strays, LEAST_GAP)) - 1.0
    found = {far: behind_gap(outer(np.append(body, np.full(strays, far)))) for far in (0.95 * least, 1.1 * least)}
    assert [number is not None for number in found.values()] == [False, True]
    number = found[1.1 * least]
    assert number is not None
    assert EDGES[number] - 4.0 == pytest.approx(1.1 * least, abs=0.03 * (4.0 + least))


def test_of_several_gaps_the_first_one_counts() -> None:
    number = behind_gap(outer(np.concatenate([np.linspace(0.0, 5.0, 2000), np.full(20, 20.0), np.full(20, 60.0)])))
    assert number is not None
    assert EDGES[number] <= 24.0 < EDGES[number + 1]


def test_what_is_more_than_one_row_in_two_hundred_is_usual() -> None:
    excesses = np.append(np.linspace(0.0, 5.0, 2000), np.full(100, 30.0))
    assert behind_gap(outer(excesses, total=20_001.0)) is not None
    assert behind_gap(outer(excesses, total=19_999.0)) is None


def test_a_row_of_long_ago_closes_no_gap() -> None:
    held = outer(np.append(np.linspace(0.0, 5.0, 2000), np.full(20, 30.0)))
    number = behind_gap(held)
    held.counts[np.searchsorted(EDGES, 4.0 + 15.0)] = 0.4
    assert behind_gap(held) == number
    held.counts[np.searchsorted(EDGES, 4.0 + 15.0)] = 1.0
    assert behind_gap(held) == np.searchsorted(EDGES, 4.0 + 15.0)


@pytest.mark.parametrize("step", [0.5, 1.0, 2.0])
def test_counts_have_gaps_between_them_all_and_no_strays(step: float) -> None:
    rng = np.random.default_rng(6)
    held = outer(np.asarray(step * (rng.geometric(1.0 - math.exp(-step), 20_000) - 1.0), np.float64))
    assert behind_gap(held) is None
    assert unlikely(held, 1e-9) == math.inf


@pytest.mark.parametrize("shape", [0.0, 0.15, 0.3])
def test_unlikely_is_what_one_row_in_a_million_exceeds_of_a_generalised_pareto_distribution(shape: float) -> None:
    tail = stats.genpareto(shape, scale=1.0 - shape)
    held = outer(np.asarray(tail.isf((np.arange(3000) + 0.5) / 3000), np.float64))
    # The shape is told one standard error too large, 1.9 / sqrt(3000), with what follows of the scale.
    heavier = shape + 0.035
    most = 4.0 + float(stats.genpareto(heavier, scale=1.0 - shape).isf(1e-6 / 0.05))
    assert 4.0 + float(tail.isf(1e-6 / 0.05)) < unlikely(held, 1e-9) < 1.05 * most
    assert unlikely(held, 1e-3) == pytest.approx(4.0 + float(tail.isf(1e-3 / 0.05)), rel=0.05)


def test_strays_hardly_move_what_is_unlikely() -> None:
    excesses = np.random.default_rng(7).exponential(size=5000)
    spoilt = np.where(np.arange(5000) < 50, 200.0, excesses)
    assert unlikely(outer(spoilt), 1e-9) < 1.3 * unlikely(outer(excesses), 1e-9) < 40.0


@pytest.mark.parametrize("lumps", [5, 7])
def test_of_what_comes_in_lumps_the_rare_values_are_no_strays(lumps: int) -> None:
    held = outer(np.append(np.repeat(np.linspace(0.3, 1.2, lumps), 3500 // lumps), np.full(35, 10.4)), total=50_000.0)
    assert behind_gap(held) is None
    assert unlikely(held, 1e-9) == math.inf


def test_of_too_few_rows_nothing_is_told() -> None:
    excesses = np.append(np.linspace(0.0, 3.0, 14), np.full(5, 30.0))
    assert behind_gap(outer(excesses, total=20_000.0)) is None
    assert unlikely(outer(excesses), 1e-9) == math.inf
