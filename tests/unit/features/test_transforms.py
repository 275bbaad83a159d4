from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from detector.config.sections import Events
from detector.features.transforms import Derived, Transforms
from detector.types import Float64, Int64
from tests.support.plain_transforms import PlainEntity

STEPS: list[Any] = ["log1p", "difference", "rate", {"ema": 2.5}]
MISSING = ["ignore", "previous", "zero", "reject"]


def events(*chains: list[Any], **others: Any) -> Events:
    features = [{"name": f"f{n}", "transforms": chain} for n, chain in enumerate(chains)]
    return Events.model_validate({"features": features, **others})


class Log(NamedTuple):
    values: Float64
    times: Float64
    slots: Int64


def derived(transforms: Transforms, log: Log, pieces: ArrayLike = ()) -> Derived:
    """Transform a log, cut into pieces before those rows."""
    state = np.full((log.slots.max() + 1, transforms.width), np.nan)
    cuts = [0, *np.sort(np.asarray(pieces, np.int64)).tolist(), len(log.slots)]
    parts = [transforms.derive(log.values[a:b], log.times[a:b], log.slots[a:b], state) for a, b in pairwise(cuts)]
    values, rows = np.concatenate([part.values for part in parts]), np.concatenate([part.rows for part in parts])
    return Derived(values, rows, sum(part.overflowed for part in parts))


def one(chain: list[Any], values: list[float], times: list[float] | None = None, **others: Any) -> list[float]:
    """Transform the values of one feature of one slot, a second apart unless `times` says otherwise."""
    at = np.arange(len(values), dtype=np.float64) if times is None else np.array(times)
    log = Log(np.array(values)[:, None], at, np.zeros(len(values), np.int64))
    column: list[float] = derived(Transforms(events(chain, **others)), log).values[:, 0].tolist()
    return column


@st.composite
def declared(draw: st.DrawFn) -> Events:
    features = []
    for n in range(draw(st.integers(1, 4))):
        chain = draw(st.lists(st.sampled_from(STEPS), max_size=3))
        if draw(st.booleans()):
            chain = [*chain, {"lags": draw(st.integers(1, 4))}]
        missing = draw(st.sampled_from(MISSING if "rate" not in chain else ["ignore", "reject"]))
        features.append({"name": f"f{n}", "transforms": chain, "missing": missing})
    cycles = draw(st.lists(st.sampled_from(["hour_of_day", "day_of_week"]), unique=True))
    return Events.model_validate({"features": features, "cycles": cycles})


@st.composite
def written(draw: st.DrawFn, features: int) -> Log:
    rng, rows = np.random.default_rng(draw(st.integers(0, 2**32))), draw(st.integers(1, 60))
    values = np.cumsum(rng.integers(0, 9, (rows, features)), axis=0).astype(np.float64)
    values += rng.choice([0.0, -1e6, 0.5], p=[0.8, 0.1, 0.1], size=values.shape)
    values[rng.random(values.shape) < draw(st.sampled_from([0.0, 0.2, 0.6]))] = np.nan
    times = 1.8e9 + np.cumsum(rng.choice([0.0, 1.0, 0.25, 5000.0, -3.0], rows))
    return Log(values, times, rng.integers(0, draw(st.integers(1, 6)), rows))


@settings(max_examples=300, deadline=None)
@given(data=st.data(), declared=declared())
def test_all_rows_at_once_are_what_plain_python_makes_of_one_after_the_other(
    data: st.DataObject, declared: Events
) -> None:
    log = data.draw(written(len(declared.features)))
    found = derived(Transforms(declared), log).values
    entities = [PlainEntity(declared) for _ in range(log.slots.max() + 1)]
    rows = zip(log.values.tolist(), log.times.tolist(), log.slots.tolist(), strict=True)
    expected = [entities[slot].see(values, time) for values, time, slot in rows]
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-9, atol=1e-9)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), declared=declared())
def test_pieces_change_no_bit(data: st.DataObject, declared: Events) -> None:
    log = data.draw(written(len(declared.features)))
    pieces = data.draw(st.lists(st.integers(0, len(log.slots)), max_size=8))
    whole, cut = derived(Transforms(declared), log), derived(Transforms(declared), log, pieces)
    np.testing.assert_array_equal(whole.values.view(np.int64), cut.values.view(np.int64))
    np.testing.assert_array_equal(whole.rows.view(np.int32), cut.rows.view(np.int32))


@pytest.mark.parametrize("start", [2.0**24 - 2, 2.0**30, 2.0**53 - 5])
def test_a_counter_counts_by_ones_where_a_float32_no_longer_can(start: float) -> None:
    counter = [start + n for n in range(6)]
    assert len(np.unique(np.array(counter, np.float32))) < 6, "or the test means nothing"
    assert one(["rate"], counter)[1:] == [1.0] * 5
    assert one(["difference"], counter)[1:] == [1.0] * 5


def test_a_counter_that_fell_begins_anew_without_a_rate() -> None:
    assert one(["rate"], [100.0, 110.0, 4.0, 10.0])[1:] == [10.0, pytest.approx(math.nan, nan_ok=True), 6.0]


def test_a_rate_is_by_the_time_that_passed() -> None:
    assert one(["rate"], [0.0, 30.0, 30.0, 90.0], [0.0, 10.0, 70.0, 71.5])[1:] == [3.0, 0.0, 40.0]


def test_a_row_no_later_than_the_last_has_no_rate_and_its_rise_is_in_the_next() -> None:
    rates = one(["rate"], [0.0, 10.0, 13.0, 11.0, 30.0], [0.0, 1.0, 1.0, 0.5, 3.0])
    assert np.isnan(rates).tolist() == [True, False, True, True, False]
    assert (rates[1], rates[4]) == (10.0, 10.0)


def test_a_missing_value_is_bridged() -> None:
    assert one(["rate"], [0.0, math.nan, 10.0])[2] == 5.0
    assert one(["difference"], [0.0, math.nan, 10.0])[2] == 10.0
    assert one([{"ema": 1}], [0.0, math.nan, 10.0])[2] == 5.0


def test_what_is_missing_is_filled_in_as_declared() -> None:
    nan = math.nan
    values = [nan, 3.0, nan, nan, 5.0, nan]
    assert one([], values, missing="previous")[1:] == [3.0, 3.0, 3.0, 5.0, 5.0]
    assert math.isnan(one([], values, missing="previous")[0]), "nothing was observed yet"
    assert one([], values, missing="zero") == [0.0, 3.0, 0.0, 0.0, 5.0, 0.0]
    assert one(["difference"], values, missing="previous")[2:] == [0.0, 0.0, 2.0, 0.0]


def test_transforms_are_chained_in_the_order_given() -> None:
    growth = [math.e**n - 1 for n in range(4)]
    assert one(["log1p", "difference"], growth)[1:] == pytest.approx([1.0, 1.0, 1.0])
    assert one(["difference", "log1p"], growth)[3] == pytest.approx(math.log1p(growth[3] - growth[2]))


def test_the_logarithm_of_a_negative_value_is_negative() -> None:
    assert one(["log1p"], [-3.0, 3.0, 0.0]) == [-math.log1p(3.0), math.log1p(3.0), 0.0]


def test_lags_are_the_rows_of_the_entity_before() -> None:
    log = Log(np.arange(1.0, 7.0)[:, None], np.zeros(6), np.array([0, 1, 0, 0, 1, 0]))
    found = derived(Transforms(events([{"lags": 2}])), log).values
    nan = math.nan
    np.testing.assert_array_equal(found[[0, 2, 3, 5]], [[1, nan, nan], [3, 1, nan], [4, 3, 1], [6, 4, 3]])
    np.testing.assert_array_equal(found[[1, 4]], [[2, nan, nan], [5, 2, nan]])


def test_what_goes_beyond_a_float32_is_missing_and_counted_and_what_follows_is_not() -> None:
    largest = float(np.finfo(np.float32).max)
    log = Log(np.array([[largest], [-largest], [1.0], [2.0]]), np.arange(4.0), np.zeros(4, np.int64))
    found = derived(Transforms(events(["difference"])), log)
    assert np.isnan(found.rows[:, 0]).tolist() == [True, True, False, False]
    assert np.isnan(found.values[:, 0]).tolist() == [True, True, False, False]
    assert found.overflowed == 1, "the first has no difference, which is no overflow"
    assert found.values[3, 0] == 1.0


def test_a_row_without_a_slot_is_missing_and_moves_nothing() -> None:
    log = Log(np.array([[1.0], [50.0], [4.0]]), np.arange(3.0), np.array([0, -1, 0]))
    found = derived(Transforms(events(["difference"], cycles=["hour_of_day"])), log).values
    assert np.isnan(found[1]).all()
    assert found[2, 0] == 3.0


def test_nothing_declared_is_nothing_done() -> None:
    transforms = Transforms(events([], []))
    assert (transforms.idle, transforms.width, transforms.columns) == (True, 0, 2)
    assert not Transforms(events([], [], missing="zero")).idle
    assert not Transforms(events([], [], cycles=["hour_of_day"])).idle
