"""The reference: distances to rates, against known distributions."""

from __future__ import annotations

import math
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
    return scaled(distances, np.array([[start, excess, 1e9]])).values


def learned(distances: Any, half_life: float = 1e9) -> Reference:
    reference = Reference(half_life)
    for start in range(0, len(distances), 256):
        reference.learn(placed(np.asarray(distances[start : start + 256], np.float32)).bins)
    return reference


def score(reference: Reference, *distances: float) -> list[float]:
    scores: list[float] = (-np.log10(reference.rates(placed(np.array(distances, np.float32))))).tolist()
    return scores


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_rate_is_the_true_one(name: str, seed: int) -> None:
    reference = learned(common(name, draw(name, 100_000, seed)))
    # What is counted counts by whole bins: they are up to a ninth of the mean excess wide in the bulk, which is 0.05
    # decades, and wider further out.
    for rate, decades in ((0.3, 0.05), (1e-1, 0.05), (1e-2, 0.08), (1e-3, 0.15), (1e-4, 0.4)):
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
    assert rates[1] == rates[2] == reference.least_rate == pytest.approx(1 / (30 * 5_000), rel=0.3)


def test_an_empty_reference_calls_nothing_unusual() -> None:
    assert max(score(Reference(1000.0), 0.0, 1.0, 1e9)) == 0.0


def test_the_past_fades_with_the_half_life() -> None:
    rng = np.random.default_rng(3)
    reference = learned(np.concatenate([rng.uniform(5, 6, 51_200), rng.uniform(1, 2, 10_240)]), half_life=1024.0)
    assert reference.total == pytest.approx(256 / (1 - 2**-0.25), rel=0.01)
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


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_what_a_model_said_at_first_fades_before_the_half_life(name: str) -> None:
    settled = draw(name, 60_000, 6)
    reference = learned(np.concatenate([3.0 * draw(name, 1000, 7), settled]))
    assert score(reference, quantile(name, 1e-3)) == pytest.approx([3.0], abs=0.4)


def test_the_tail_has_no_end_close_behind_what_was_seen() -> None:
    reference = learned(np.random.default_rng(8).beta(1.0, 3.0, 30_000))
    inside, outside = score(reference, 0.95, 1.1)
    assert 3.0 < inside < outside < -np.log10(reference.least_rate), "what lies past the greatest value can happen"


@pytest.mark.parametrize("shares", [(0.9, 0.09, 0.01), (0.9, 0.095, 0.005), (0.6, 0.2, 0.2)])
def test_of_few_attained_values_the_rate_is_the_share_at_least_so_far_out(shares: tuple[float, ...]) -> None:
    values = np.random.default_rng(9).choice([1.0, 2.0, 3.0], 50_000, p=shares)
    for value, rate in zip([2.0, 3.0], [1.0 - shares[0], shares[2]], strict=True):
        assert score(learned(values), value) == pytest.approx([-np.log10(rate)], abs=0.1)


@pytest.mark.parametrize("target", [0.3, 0.05, 0.002])
def test_the_threshold_of_few_attained_values_is_the_smallest_whose_rate_is_at_most_the_target(target: float) -> None:
    values = np.random.default_rng(10).choice([1.0, 2.0, 3.0, 4.0], 50_000, p=[0.85, 0.13, 0.019, 0.001])
    flagged = {value for value in (1.0, 2.0, 3.0, 4.0) if score(learned(values), value)[0] >= -np.log10(target)}
    smallest = min(value for value in (2.0, 3.0, 4.0) if (values >= value).mean() <= target)
    assert min(flagged) == smallest


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("rate", [0.1, 1e-2, 1e-3])
def test_no_more_than_that_share_lies_beyond_a_quantile(name: str, rate: float) -> None:
    at = learned(draw(name, 50_000, 11)).quantile(rate)
    assert 0.7 * rate < (draw(name, 200_000, 12) >= at).mean() < 1.3 * rate


def test_an_empty_reference_has_no_quantile() -> None:
    assert Reference(1000.0).quantile(1e-3) == 0.0


def test_the_tail_tells_the_further_out_beyond_the_rates_that_it_supports() -> None:
    reference = learned(draw("exponential", 20_000, 3))
    rates = [1e-2, 1e-4, reference.least_rate, 1e-8, 1e-9]
    values = [reference.extrapolated(rate) for rate in rates]
    assert values == sorted(values)
    assert values[1] == reference.threshold(1e-4)
    assert values[-1] < math.inf == reference.threshold(1e-9)
    assert Reference(1e9).extrapolated(1e-9) == math.inf


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("rows", [2000, 50_000])
def test_strays_leave_no_trace_from_the_outset(name: str, rows: int) -> None:
    values = common(name, draw(name, rows, 13))
    strays = np.random.default_rng(13).random(rows) < 0.002
    clean, spoilt = learned(values[~strays]), learned(np.where(strays, 500.0, values))
    assert spoilt.threshold(1e-3) == pytest.approx(clean.threshold(1e-3), rel=0.05)
    assert values.max() < spoilt.strays < 500.0


@pytest.mark.parametrize("seed", range(5))
def test_of_a_heavy_tail_nothing_is_a_stray(seed: int) -> None:
    values = common("t", draw("t", 50_000, seed))
    assert learned(values).total == pytest.approx(learned(np.minimum(values, 5.0)).total, rel=1e-4)


def test_strays_behind_a_gap_are_held_until_they_are_usual() -> None:
    values = draw("exponential", 20_000, 13) + 4.0
    reference = Reference(1e9)
    for start in range(0, len(values), 500):
        many = 1 if start < 10_000 else 25
        reference.learn(placed(np.append(values[start : start + 500], np.full(many, 18.0))).bins)
        if start == 9500:
            assert 13.0 < reference.strays <= 18.0
            assert reference.threshold(1e-4) < 16.0
            assert reference.holds(np.array([13.0, 18.0, 1000.0])).tolist() == [False, True, False]
    assert reference.quantile(1e-3) == pytest.approx(18.0, rel=0.05)


def test_strays_of_long_ago_fade_and_leave_no_trace() -> None:
    values, reference = draw("exponential", 40_000, 17) + 4.0, Reference(2000.0)
    thresholds = []
    for number, start in enumerate(range(0, len(values), 250)):
        block = values[start : start + 250]
        reference.learn(placed(np.append(block, np.full(1, 40.0)) if number < 20 else block).bins)
        if number >= 20:
            thresholds.append(reference.threshold(1e-3))
    assert max(thresholds) < 14.0
    assert reference.counts[placed(np.array([40.0])).bins] == 0.0


def test_what_is_saved_in_the_middle_goes_on_the_same() -> None:
    values = np.where(np.random.default_rng(14).random(6000) < 0.003, 60.0, draw("chi", 6000, 14))
    whole, halves = Reference(1e9), Reference(1e9)
    for block in np.array_split(values, 24):
        whole.learn(placed(block).bins)
        halves.learn(placed(block).bins)
        other = Reference(1e9)
        other.restore(halves.counts.copy())
        halves = other
        assert (whole.strays, whole.threshold(1e-3)) == (halves.strays, halves.threshold(1e-3))
        assert whole.counts.tobytes() == halves.counts.tobytes()
