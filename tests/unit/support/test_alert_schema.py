from __future__ import annotations

import json
from typing import Any

import pytest

from detector.alerts import body, raising
from tests.support.alert_schema import assert_alerts
from tests.support.alerts import alert


def changed(**values: Any) -> bytes:
    return json.dumps(json.loads(body.encode(alert())) | values).encode()


def test_what_is_raised_here_is_looked_at() -> None:
    with pytest.raises(AssertionError, match=r"\$.id"):
        vars(raising)["encode"](alert(id=7), {})


def test_an_alert_that_is_not_what_its_schema_says_is_told_of_each_time() -> None:
    for _ in range(2):
        with pytest.raises(AssertionError, match="kind"):
            assert_alerts([changed(), changed(kind="else")])


def test_shares_add_up_to_one() -> None:
    document = json.loads(changed())
    document["features"][0]["share"] /= 2
    with pytest.raises(AssertionError, match="shares add up to"):
        assert_alerts([json.dumps(document)])
