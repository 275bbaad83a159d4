"""Fetching from Kafka: when more is asked for, and no sleep over what has arrived."""

from __future__ import annotations

from collections import deque
from types import SimpleNamespace
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


class Reading(Fetcher):  # type: ignore[misc]  # kafka-python ships no types
    """A fetcher to which the end of the log was told as `highwater`, and that has read up to offset 7."""

    def __init__(self, highwater: int | None, *, partial: bool = False) -> None:
        state = SimpleNamespace(highwater=highwater, position=SimpleNamespace(offset=7))
        self._subscriptions = SimpleNamespace(assignment={("events", 0): state})
        self._manager = SimpleNamespace(call_soon=lambda what: self.asked.append(what.__name__))
        self._partial = partial
        self.asked: list[str] = []

    def fetched_records(
        self,
        max_records: int | None = None,  # noqa: ARG002 - kafka-python's
        update_offsets: bool = True,  # noqa: ARG002, FBT001, FBT002 - kafka-python's
    ) -> tuple[dict[Any, list[str]], bool]:
        return RECORDS, self._partial

    def send_fetches(self) -> None:
        self.asked.append("at once")


@pytest.mark.parametrize(("highwater", "asked"), [(8, ["at once"]), (7, []), (None, [])])
def test_more_is_asked_for_at_once_only_where_the_log_holds_more(highwater: int | None, asked: list[str]) -> None:
    fetcher = Reading(highwater)
    assert kafka_fetching.fetch_records(fetcher) == (RECORDS, False)
    assert fetcher.asked == asked


def test_nothing_is_asked_for_while_records_of_the_last_answer_are_left() -> None:
    fetcher = Reading(8, partial=True)
    assert kafka_fetching.fetch_records(fetcher) == (RECORDS, False)
    assert fetcher.asked == []


def test_a_partition_that_was_taken_away_meanwhile_holds_no_more() -> None:
    fetcher = Reading(8)
    fetcher._subscriptions.assignment.clear()
    kafka_fetching.fetch_records(fetcher)
    assert fetcher.asked == []


def test_asking_does_not_wait_for_the_answer() -> None:
    fetcher = Reading(7)
    kafka_fetching.ask(fetcher)
    assert fetcher.asked == ["_send_fetches_async"]
