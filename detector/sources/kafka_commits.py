"""Offsets committed to Kafka: they follow the checkpoints, and nothing waits for them but the last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError
from kafka.structs import OffsetAndMetadata

from detector.sources import kafka_log
from detector.types import Partition, Position

_WAIT_MS = 2000

_log = structlog.get_logger(__name__)


class Commits:
    """Commits in the background, and waits for the answer once it is `closing`. `failed` is told of every failure."""

    def __init__(self, failed: Callable[[], object]) -> None:
        self._failed = failed
        self._closing = False
        self._silent = False

    def closing(self, *, silent: bool) -> None:
        """Wait for the answers from now on, but not for those of a broker that is `silent` already."""
        self._closing = True
        self._silent = silent

    @property
    def patience_ms(self) -> int:
        """How long it makes sense to wait for the broker at the end."""
        return 0 if self._silent else _WAIT_MS

    def commit(self, consumer: Any, positions: dict[Partition, Position], store_id: str) -> None:
        """Commit next offsets with the store's id as metadata; never raises."""
        offsets = {
            TopicPartition(*partition): OffsetAndMetadata(position.offset, kafka_log.mark(store_id), -1)
            for partition, position in positions.items()
        }
        try:
            if self._closing:
                self._finally(consumer, offsets)
            else:
                consumer.commit_async(offsets, callback=self._answered)
        except KafkaError as error:
            self._answered(offsets, error)

    def _finally(self, consumer: Any, offsets: dict[Any, Any]) -> None:
        """Commit and wait; however many partitions there are, for a broker that does not answer only once."""
        if self._silent:
            message = "the broker does not answer"
            raise KafkaTimeoutError(message)
        try:
            consumer.commit(offsets, timeout_ms=_WAIT_MS)
        except KafkaError:
            self._silent = True
            raise

    def _answered(self, offsets: dict[Any, Any], answer: object) -> None:
        if isinstance(answer, Exception):
            partitions = ", ".join(sorted(str(Partition(*key)) for key in offsets))
            text = "offsets could not be committed; the next checkpoint tries again"
            _log.warning(text, partitions=partitions, error=str(answer))
            self._failed()
