from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from detector.config.sections import Events
from detector.features.layout import columns_of, model_features
from detector.features.transforms import Transforms


def events(**given: Any) -> Events:
    return Events.model_validate(given)


DECLARED = events(
    features=[
        {"name": "cpu", "unit": "%"},
        {"name": "requests", "transforms": ["rate"]},
        {"name": "sent", "unit": "B", "transforms": ["rate", "log1p"]},
        {"name": "raw", "unit": "ms", "transforms": []},
    ],
    transforms=[{"ema": 5}, {"lags": 2}],
    cycles=["day_of_week", "hour_of_day"],
)


def test_each_feature_of_the_model_has_a_name_that_tells_what_it_is() -> None:
    assert [(feature.name, feature.unit) for feature in model_features(DECLARED)] == [
        ("cpu (ema)", "%"),
        ("cpu (ema, 1 back)", "%"),
        ("cpu (ema, 2 back)", "%"),
        ("requests (rate)", "1/s"),
        ("sent (rate, log1p)", ""),
        ("raw", "ms"),
        ("day of week", ""),
        ("hour of day", "h"),
    ]


def test_lags_alone_are_told_as_so_many_back() -> None:
    named = model_features(events(features=["cpu"], transforms=[{"lags": 2}]))
    assert [feature.name for feature in named] == ["cpu", "cpu (1 back)", "cpu (2 back)"]


def test_every_column_belongs_to_one_feature() -> None:
    columns = [column for feature in model_features(DECLARED) for column in feature.columns]
    assert sorted(columns) == list(range(columns_of(DECLARED)))
    assert [feature.feature for feature in model_features(DECLARED)] == [0, 0, 0, 1, 2, 3, None, None]


def test_columns_hold_what_their_names_say() -> None:
    transforms = Transforms(DECLARED)
    state = np.full((1, transforms.width), np.nan)
    values = np.array([[1.0, 10.0, 0.0, 7.0], [1.0, 30.0, 0.0, 8.0], [5.0, 60.0, 0.0, 9.0]])
    wednesday_six_in_the_morning = 1_796_796_000.0
    times = wednesday_six_in_the_morning + np.arange(-2.0, 1.0) * 10.0
    row = transforms.derive(values, times, np.zeros(3, np.int64), state).values[-1]
    told = {feature.name: feature.value(row) for feature in model_features(DECLARED)}
    assert told.pop("cpu (ema)") == pytest.approx(1.0 + 4.0 * (1.0 - 2.0**-0.2))
    assert told == pytest.approx(
        {
            "cpu (ema, 1 back)": 1.0,
            "cpu (ema, 2 back)": 1.0,
            "requests (rate)": 3.0,
            "sent (rate, log1p)": 0.0,
            "raw": 9.0,
            "day of week": 2.25,
            "hour of day": 6.0,
        }
    )
