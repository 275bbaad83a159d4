"""The share of flagged rows is the one that was asked for: a small part of `tests/bench/calibration.py`."""

from __future__ import annotations

import pytest

from tests.bench.calibration import DISTRIBUTIONS, Case, observe, summary


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
@pytest.mark.parametrize(("rate", "rows"), [(1e-2, 25_000), (1e-3, 80_000)])
def test_on_data_without_faults_as_many_rows_are_flagged_as_were_asked_for(
    distribution: str, rate: float, rows: int
) -> None:
    seen = summary([observe(Case("one", distribution, rate, "events", seed, rows)) for seed in (21,)])
    assert seen["expected"] > 30, "too few for the ratio to mean anything"
    # Several attained values may share a bin of the reference: what is flagged is then less than could be.
    least, most = (0.25, 2.0) if distribution == "discrete" else (0.5, 2.0)
    assert least < seen["ratio"] < most
