from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.alerts import retry
from detector.types import Attempt, Outcome, QueuedEntry
from tests.support.alerts import entry

FAILED = Attempt(Outcome.RETRY, "503", "answered 503")


def queued(attempts: int = 0, created: float = 0.0) -> QueuedEntry:
    return QueuedEntry(1, entry("webhook"), created, attempts, 0.0)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (202, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (301, Outcome.RETRY),
        (307, Outcome.RETRY),
        (400, Outcome.REFUSED),
        (401, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (408, Outcome.RETRY),
        (410, Outcome.GONE),
        (425, Outcome.RETRY),
        (429, Outcome.RETRY),
        (500, Outcome.RETRY),
        (503, Outcome.RETRY),
        (599, Outcome.RETRY),
    ],
)
def test_a_status_means_one_thing(status: int, outcome: Outcome) -> None:
    assert retry.outcome_of(status) is outcome


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("0", 1.0),
        ("99999999999999999999", 86400.0),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("²", None),
        ("", None),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 1.0),
        ("Tue, 14 Nov 3023 22:00:00 GMT", 86400.0),
        ("Tue, 99 Nov 2023 22:00:00 GMT", None),
    ],
)
def test_retry_after_is_read_and_bounded(header: str | None, seconds: float | None) -> None:
    assert retry.retry_after(header, now=1_700_000_000.0) == seconds


@given(st.text())
def test_no_header_raises(header: str) -> None:
    asked = retry.retry_after(header, now=1_700_000_000.0)
    assert asked is None or 1.0 <= asked <= 86400.0


@given(st.floats(0, 1, exclude_max=True))
def test_the_schedule_is_followed_to_its_end_and_no_further(jitter: float) -> None:
    now, times = 0.0, []
    for attempts in range(50):
        times.append(now)
        attempt, again = retry.judge(queued(attempts), FAILED, now, jitter)
        if attempt.outcome is Outcome.REFUSED:
            break
        now = again
    assert len(times) == len(retry.SCHEDULE)
    for (before, after), wanted in zip(pairwise(times), retry.SCHEDULE[1:], strict=True):
        assert wanted <= after - before + 1e-6
        assert after - before <= wanted * (1 + retry.JITTER) + 1e-6


def test_giving_up_keeps_the_code_and_says_why() -> None:
    attempt, _ = retry.judge(queued(attempts=9), FAILED, retry.PATIENCE, 0.5)
    assert (attempt.outcome, attempt.code) == (Outcome.REFUSED, "503")
    assert attempt.detail == "gave up after 76 h and 10 attempts; the last: answered 503"


def test_many_attempts_in_little_time_lose_nothing() -> None:
    attempt, again = retry.judge(queued(attempts=500), FAILED, 100.0, 0.0)
    assert attempt.outcome is Outcome.RETRY
    assert again == 100.0 + 86400.0


def test_the_receivers_own_wish_goes_before_the_schedule() -> None:
    asked = FAILED._replace(retry_after=30.0)
    assert retry.judge(queued(attempts=5), asked, 1000.0, 0.0)[1] == 1030.0


def test_what_is_settled_is_not_tried_again() -> None:
    for outcome in (Outcome.DELIVERED, Outcome.REFUSED, Outcome.GONE):
        attempt = Attempt(outcome, "x")
        assert retry.judge(queued(), attempt, retry.PATIENCE * 2, 0.5)[0] == attempt


def test_a_sink_whose_receiver_is_down_is_probed_every_minute_at_least() -> None:
    assert retry.pause(1, None, 0.0) == 5.0
    assert max(retry.pause(failures, None, 0.999) for failures in range(1, 30)) == 60.0
    assert retry.pause(1, 3600.0, 0.0) == 3600.0
