"""Fetching from Kafka without a sleep over what has arrived."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
from kafka.consumer.fetcher import Fetcher

from detector.sources import kafka_fetching

RECORDS = {("events", 0): ["a", "b"]}


class Arriving(Fetcher):  # type: ignore[misc]  # kafka-python ships no types
    """A fetcher whose answer arrives just when it has looked, so that it asks for nothing more."""

    def __init__(self) -> None:
        self._fetch_futures: deque[Any] = deque()
        self._reset_task = None
        self.arrived: dict[Any, list[str]] = {}

    def fetched_records(
        self,
        max_records: int | None = None,  # noqa: ARG002 - kafka-python's
        update_offsets: bool = True,  # noqa: ARG002, FBT001, FBT002 - kafka-python's
    ) -> tuple[dict[Any, list[str]], bool]:
        arrived, self.arrived = self.arrived, {}
        return arrived, False

    def send_fetches(self) -> None:
        self.arrived = RECORDS


def test_kafka_python_sleeps_over_what_arrives_while_it_looks() -> None:
    """Else what is tested below is needed no more."""
    assert kafka_fetching._fetch_records(Arriving()) == ({}, True)


def test_what_arrives_while_it_looks_is_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fetcher, "fetch_records", Fetcher.fetch_records)
    kafka_fetching.install()
    assert Arriving().fetch_records() == (RECORDS, True)
