"""The tail: a generalised Pareto distribution, against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from detector.models.tail import Tail


@pytest.mark.parametrize("shape", [-0.1, 0.0, 0.3, 0.5])
def test_rates_and_values_are_those_of_the_distribution(shape: float) -> None:
    tail, same = Tail(3.0, 0.02, shape, 1.7), stats.genpareto(shape, loc=3.0, scale=1.7)
    values = np.linspace(3.0, 30.0, 50)
    assert tail.rates(values) == pytest.approx(0.02 * same.sf(values), rel=1e-9)
    for rate in (0.02, 1e-3, 1e-6):
        assert tail.value(rate) == pytest.approx(same.isf(rate / 0.02), rel=1e-9)


def test_beyond_the_end_of_a_light_tail_nothing_comes() -> None:
    assert Tail(0.0, 0.02, -0.5, 1.0).rates(np.array([1.9, 2.0, 5.0])).tolist() == [pytest.approx(0.02 * 0.05**2), 0, 0]
