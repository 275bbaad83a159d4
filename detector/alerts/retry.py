"""The retry policy, in one place: what an HTTP answer means, when to try again, and when to give up.

The schedule is that of Standard Webhooks 1.0.0; it serves every sink, so that all give up after the same time.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from detector.types import Attempt, Outcome

if TYPE_CHECKING:
    from detector.types import QueuedEntry

SCHEDULE = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0, 86400.0)
"""Seconds before each attempt, counted from the one before."""

PATIENCE = sum(SCHEDULE)
"""An entry that fails once it is this old, in seconds, is given up. Its age counts and not its number of attempts:
those also grow when the daemon is restarted and when the receiver's health is probed, which must lose no alert."""

JITTER = 0.1
"""A delay grows by up to this share, so that daemons do not come back in step. It never shrinks, so that the last
attempt of an undisturbed schedule is never earlier than PATIENCE."""

RETRY_AFTER_BOUNDS = (1.0, 86400.0)
"""A receiver may ask for no less and no more, in seconds."""

PAUSE_LIMIT = 60.0
"""A sink whose receiver is down is probed for new entries after at most this many seconds."""


def outcome_of(status: int) -> Outcome:
    """Return what an HTTP status means. Redirects are not followed: a signed alert goes where it was configured to."""
    if 200 <= status < 300:
        return Outcome.DELIVERED
    if status == HTTPStatus.GONE:
        return Outcome.GONE
    if status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}:
        return Outcome.RETRY
    return Outcome.REFUSED if 400 <= status < 500 else Outcome.RETRY


def retry_after(header: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After header asks for, within bounds; None where it is absent or no such."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, RETRY_AFTER_BOUNDS[0]), RETRY_AFTER_BOUNDS[1])


def delay(failures: int, asked: float | None, jitter: float) -> float:
    """Return the seconds until the next attempt after so many failed ones; `jitter` is a random number in [0, 1)."""
    wait = SCHEDULE[min(failures, len(SCHEDULE) - 1)] if asked is None else asked
    return wait * (1.0 + JITTER * jitter)


def pause(failures: int, asked: float | None, jitter: float) -> float:
    """Return for how many seconds a sink leaves its receiver alone after so many failed rounds in a row."""
    return delay(failures, asked, jitter) if asked is not None else min(delay(failures, None, jitter), PAUSE_LIMIT)


def judge(
    queued: QueuedEntry, attempt: Attempt, now: float, jitter: float, patience: float = PATIENCE
) -> tuple[Attempt, float]:
    """Return the attempt and when to try again; a failure at the end of the schedule becomes a refusal."""
    if attempt.outcome is not Outcome.RETRY:
        return attempt, now
    if now - queued.created >= patience:
        hours = (now - queued.created) / 3600
        detail = f"gave up after {hours:.0f} h and {queued.attempts + 1} attempts; the last: {attempt.detail}"
        return attempt._replace(outcome=Outcome.REFUSED, detail=detail), now
    return attempt, now + delay(queued.attempts + 1, attempt.retry_after, jitter)
