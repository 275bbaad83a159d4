from __future__ import annotations

from collections import Counter
from typing import Any

from structlog.testing import capture_logs

from detector.portion import Done
from detector.rejecting import Rejecting
from detector.types import Partition
from tests.support.alerts import TurnedClock

PARTITION = Partition("orders", 3)
DETAIL = "timestamp (ts): expected a number of s, in the years 1 to 9999"


def done(rows: int, **rejected: int) -> Done:
    return Done(rows, 5, Counter(rejected), sum(rejected.values()), dict.fromkeys(rejected, DETAIL))


def passed_over(count: int) -> Done:
    return Done(0, count, Counter(), 0, {})


def said(rejecting: Rejecting, **least: int) -> list[dict[str, Any]]:
    with capture_logs() as log:
        rejecting.look(**least)
    return [dict(line) for line in log]


def test_that_most_is_rejected_is_said_with_the_reason_the_share_and_what_to_check() -> None:
    rejecting = Rejecting(TurnedClock().monotonic)
    rejecting.decoded(Partition("fine", 0), done(1000, no_entity=400))
    rejecting.decoded(PARTITION, done(10, no_timestamp=180, not_a_number=10))
    (line,) = said(rejecting)
    assert line == {
        "event": "most_rejected",
        "log_level": "warning",
        "topic": "orders",
        "share": 0.95,
        "reason": "no_timestamp",
        "detail": DETAIL,
        "advice": "check events.timestamp.path and events.timestamp.unit (and events.limits.too_old, too_far_ahead); "
        "see `detector state dead-letters orders/3`",
    }


def test_it_is_said_rarely_and_that_it_is_over() -> None:
    clock = TurnedClock()
    rejecting = Rejecting(clock.monotonic)
    rejecting.decoded(PARTITION, done(0, no_timestamp=200))
    assert len(said(rejecting)) == 1
    clock.turn(10)
    assert said(rejecting) == []
    clock.turn(400)
    assert len(said(rejecting)) == 1
    rejecting.decoded(PARTITION, done(300))
    (line,) = said(rejecting)
    assert (line["event"], line["topic"]) == ("most_taken_again", "orders")


def test_recent_rows_count() -> None:
    rejecting = Rejecting(TurnedClock().monotonic)
    for _ in range(100):
        rejecting.decoded(PARTITION, done(3000))
    assert said(rejecting) == []
    for _ in range(8):
        rejecting.decoded(PARTITION, done(0, not_a_number=3000))
    assert said(rejecting)[0]["advice"].startswith("check the paths under events: features, entity")


def test_a_few_rows_are_too_few_but_at_the_end() -> None:
    rejecting = Rejecting(TurnedClock().monotonic)
    rejecting.decoded(PARTITION, done(0, undecodable=3))
    assert said(rejecting) == []
    assert said(rejecting, least=1)[0]["advice"].startswith("check events.format")


def test_that_all_is_passed_over_is_said_until_some_is_not() -> None:
    rejecting = Rejecting(TurnedClock().monotonic)
    rejecting.decoded(PARTITION, passed_over(99))
    assert said(rejecting) == []
    rejecting.decoded(PARTITION, passed_over(1))
    (line,) = said(rejecting)
    assert (line["event"], line["topic"], line["passed_over"]) == ("all_passed_over", "orders", 100)
    assert "events.where" in line["advice"]
    rejecting.decoded(PARTITION, done(1))
    assert [line["event"] for line in said(rejecting)] == ["some_taken"]
