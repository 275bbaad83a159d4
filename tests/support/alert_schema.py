"""Every alert that is written in a test is what its JSON Schema says: those of the test's own process, and of daemons.

The first by a fixture that is always in use, which looks at what is encoded; those of other processes by
`assert_alerts`, which is told what they have sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from detector.alerts import body, raising
from detector.types import Alert

_seen: set[int] = set()
"""What was looked at, by hash: replays write the same alerts again and again."""


def assert_alerts(bodies: Iterable[bytes | str]) -> None:
    """Assert that each is an alert as the schema has it, and that its features' shares add up to 1 or are not told."""
    for text in bodies:
        if hash(text) not in _seen:
            _judge(json.loads(text))
            _seen.add(hash(text))


def _judge(alert: dict[str, Any]) -> None:
    errors = [f"{error.json_path}: {error.message}" for error in _validator().iter_errors(alert)]
    assert not errors, f"an alert is not what its schema says: {errors}\n{alert}"
    shares = [feature["share"] for feature in alert["features"] if feature["share"] is not None]
    assert not shares or abs(sum(shares) - 1.0) < 1e-3, f"shares add up to {sum(shares)}: {alert}"


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(body.schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.fixture(scope="session", autouse=True)
def alerts_are_what_their_schema_says() -> Iterator[None]:
    """Look at each alert that this process raises."""

    def encode(alert: Alert, units: Mapping[str, str]) -> bytes:
        text = body.encode(alert, units)
        assert_alerts([text])
        return text

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raising, "encode", encode)
        yield
