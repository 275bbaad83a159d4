"""Fetching without a sleep over what has arrived.

kafka-python takes what has arrived, asks for more, and sleeps for a tenth of a second where nothing is under way. What
arrives between the first and the second is neither: nothing new is asked for, as there is some, and it is slept over.
"""

from __future__ import annotations

from typing import Any

from kafka.consumer.fetcher import Fetcher

_fetch_records = Fetcher.fetch_records


def fetch_records(
    fetcher: Fetcher, max_records: int | None = None, *, update_offsets: bool = True, timeout_ms: float | None = None
) -> tuple[dict[Any, list[Any]], bool]:
    """Do what kafka-python's method does; where it would sleep, look once more whether something has arrived."""
    records, idle = _fetch_records(fetcher, max_records, update_offsets=update_offsets, timeout_ms=timeout_ms)
    if idle:
        records, _ = fetcher.fetched_records(max_records, update_offsets=update_offsets)
    return records, idle


def install() -> None:
    """Let consumers of this process fetch so."""
    Fetcher.fetch_records = fetch_records
