"""Reads what a test's topic holds."""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer, TopicPartition


def end_of(bootstrap: str, topic: str) -> int:
    """Return where a topic of one partition ends."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        partition = TopicPartition(topic, 0)
        end: int = consumer.end_offsets([partition])[partition]
        return end
    finally:
        consumer.close()


def read_all(bootstrap: str, topic: str) -> list[Any]:
    """Return the records of a topic of one partition."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        end = consumer.end_offsets([partition])[partition]
        found: list[Any] = []
        while consumer.position(partition) < end:
            found += consumer.poll(timeout_ms=1000).get(partition, [])
        return found
    finally:
        consumer.close()
