"""What the brokers know of a partition's log. Here a consumer is a KafkaConsumer, and a key its TopicPartition."""

from __future__ import annotations

from typing import Any

from detector.config.units import instant
from detector.types import LogFacts

_MARK = "store:"
_WAIT_MS = 3000


def mark(store_id: str) -> str:
    """Return the metadata of a committed offset: whose it is."""
    return _MARK + store_id


def facts(consumer: Any, cluster: Any, key: Any, *, known_end: int | None, start: str) -> LogFacts:
    """Ask for what tells whether a log is still the same, and where `source.start` lies; raises kafka-python's errors.

    `known_end` is the offset from which the log is known to differ from what was read, where it does.
    """
    earliest = consumer.beginning_offsets([key], timeout_ms=_WAIT_MS)[key]
    end = consumer.end_offsets([key], timeout_ms=_WAIT_MS)[key]
    end = end if known_end is None else max(earliest, min(end, known_end))
    committed = consumer.committed(key, metadata=True, timeout_ms=_WAIT_MS)
    metadata = (committed.metadata or "") if committed is not None else ""
    return LogFacts(
        topic_id=str(cluster.topic_id(key.topic) or ""),
        earliest=earliest,
        end=end,
        committed=committed.offset if committed is not None else None,
        committed_store=metadata.removeprefix(_MARK) if metadata.startswith(_MARK) else "",
        start=_start(consumer, key, earliest, end, start),
        partitions=max(1, sum(len(cluster.partitions_for_topic(topic) or ()) for topic in consumer.subscription())),
    )


def _start(consumer: Any, key: Any, earliest: int, end: int, start: str) -> int:
    """Return the offset that `source.start` stands for; the end where nothing is as late as its time."""
    if start == "earliest":
        return earliest
    if start == "latest":
        return end
    since = max(round(instant(start) * 1000), 0)
    found = consumer.offsets_for_times({key: since}, timeout_ms=_WAIT_MS)[key]
    return found.offset if found is not None else end
