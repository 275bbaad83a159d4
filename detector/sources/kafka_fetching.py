"""Fetching: when the next records are asked for, and no sleep over what has arrived.

kafka-python asks for more as soon as it hands out what has arrived. Where that was all there is, next to nothing has
come by then; the answer lies there for as long as the turn takes, and what comes meanwhile waits for the turn behind
the next. So a reader that has caught up asks when it is about to take the last batch of its turn (`ask`), at the latest
when it polls again.

And it sleeps for a tenth of a second where nothing is under way. What arrives between its look and its question is
neither: nothing new is asked for, as there is some, and it is slept over.
"""

from __future__ import annotations

from typing import Any

from kafka.consumer.fetcher import Fetcher

_fetch_records = Fetcher.fetch_records


def fetch_records(
    fetcher: Fetcher, max_records: int | None = None, *, update_offsets: bool = True, timeout_ms: float | None = None
) -> tuple[dict[Any, list[Any]], bool]:
    """Do what kafka-python's method does, but ask for more at once only where a log is known to hold more.

    Where it would sleep, look once more whether something has arrived.
    """
    records, partial = fetcher.fetched_records(max_records, update_offsets=update_offsets)
    if records:
        if not partial and any(_holds_more(fetcher, key) for key in records):
            fetcher.send_fetches()
        return records, False
    records, idle = _fetch_records(fetcher, max_records, update_offsets=update_offsets, timeout_ms=timeout_ms)
    if idle:
        records, _ = fetcher.fetched_records(max_records, update_offsets=update_offsets)
    return records, idle


def ask(fetcher: Fetcher) -> None:
    """Ask for what has come since the last answer, without waiting for it; the next poll tells what is wrong."""
    fetcher._manager.call_soon(fetcher._send_fetches_async)  # noqa: SLF001 - `send_fetches` waits for its thread


def install() -> None:
    """Let consumers of this process fetch so."""
    Fetcher.fetch_records = fetch_records


def _holds_more(fetcher: Fetcher, key: Any) -> bool:
    state = fetcher._subscriptions.assignment.get(key)  # noqa: SLF001 - there is no public way
    if state is None or state.highwater is None or state.position is None:
        return False
    more: bool = state.highwater > state.position.offset
    return more
