"""The reference: distances to rates, against known distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from detector.models.calibration import scaled
from detector.models.reference import Reference, placed
from detector.types import Float64

DISTRIBUTIONS = {
    "chi": stats.chi(3),
    "chi of many features": stats.chi(16),
    "exponential": stats.expon(),
    "t": stats.t(3),
}


def draw(name: str, n: int, seed: int) -> Float64:
    """Draw distances; of a symmetric distribution the absolute values."""
    drawn: Float64 = np.abs(DISTRIBUTIONS[name].rvs(n, random_state=np.random.default_rng(seed)))
    return drawn


def quantile(name: str, rate: float) -> float:
    return float(DISTRIBUTIONS[name].isf(rate / 2 if name == "t" else rate))


def common(name: str, distances: Float64) -> Float64:
    """Return distances on the scale that the reference serves, by the true quantile and mean excess."""
    start = quantile(name, 0.05)
    sides = 2 if name == "t" else 1
    excess = sides * quad(DISTRIBUTIONS[name].sf, start, np.inf)[0] / 0.05
    return scaled(distances, np.array([[start, excess, 0.0]])).values


def learned(distances: Any, half_life: float = 1e9) -> Reference:
    reference = Reference(half_life)
    for start in range(0, len(distances), 1024):
        reference.learn(placed(np.asarray(distances[start : start + 1024], np.float32)).bins)
    return reference


def score(reference: Reference, *distances: float) -> list[float]:
    scores: list[float] = (-np.log10(reference.rates(placed(np.array(distances, np.float32))))).tolist()
    return scores


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_rate_is_the_true_one(name: str, seed: int) -> None:
    reference = learned(common(name, draw(name, 100_000, seed)))
    # In the bulk a bin counts whole; it is up to a ninth of the mean excess wide, which is 0.05 decades.
    for rate, decades in ((0.3, 0.05), (1e-1, 0.05), (1e-2, 0.05), (1e-3, 0.15), (1e-4, 0.4)):
        at = float(common(name, np.array([quantile(name, rate)]))[0])
        assert score(reference, at) == pytest.approx([-np.log10(rate)], abs=decades)


@pytest.mark.parametrize("n", [0, 10, 1500, 100_000])
def test_the_score_never_falls_as_the_distance_grows(n: int) -> None:
    scores = score(learned(draw("exponential", n, 1)), *np.linspace(0, 40, 20_001))
    assert (np.diff(scores) >= -1e-12).all()
    assert min(scores) >= 0


def test_no_rate_is_less_than_the_reference_supports() -> None:
    reference = learned(draw("chi", 10_000, 2))
    rates = reference.rates(placed(np.array([1.0, 1e3, np.inf], np.float32)))
    assert rates[0] > reference.least_rate
    assert rates[1] == rates[2] == reference.least_rate == pytest.approx(1 / (30 * 10_001), rel=1e-3)


def test_an_empty_reference_calls_nothing_unusual() -> None:
    assert max(score(Reference(1000.0), 0.0, 1.0, 1e9)) == 0.0


def test_the_past_fades_with_the_half_life() -> None:
    rng = np.random.default_rng(3)
    reference = learned(np.concatenate([rng.uniform(5, 6, 51_200), rng.uniform(1, 2, 10_240)]), half_life=1024.0)
    assert reference.total == pytest.approx(1024 / (1 - 0.5), rel=0.01)
    assert score(reference, 4.0)[0] == pytest.approx(3.0, abs=0.3)


def test_few_attained_values_are_counted() -> None:
    values = np.random.default_rng(4).choice([1.0, 2.0, 3.0], 50_000, p=[0.9, 0.09, 0.01])
    assert score(learned(values), 2.0001, 2.9)[1] == pytest.approx(2.0, abs=0.1)
    assert score(learned(np.ones(50_000)), 1.5)[0] > 4.0


def test_saved_counts_score_the_same() -> None:
    reference = learned(draw("chi", 5000, 5))
    other = Reference(1e9)
    other.restore(reference.counts.copy())
    distances = np.linspace(0, 9, 500)
    assert other.rates(placed(distances)).tobytes() == reference.rates(placed(distances)).tobytes()
