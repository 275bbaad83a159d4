"""Events from Kafka: a member of a consumer group.

kafka-python calls its rebalance listener on a thread of its own. Here the listener only notes what was given and
taken, and ends the poll at once (`Handover`); the assignment is told on the caller's thread, before the next poll
lets the group go on. So a partition is checkpointed and closed before another member can have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.errors import (
    FencedInstanceIdError,
    KafkaError,
    LogTruncationError,
    OffsetOutOfRangeError,
    RetriableError,
)

from detector.config.sections import Kafka
from detector.config.sections import KafkaSource as Section
from detector.errors import LogChangedError, SourceError
from detector.protocols import Assignment, Clock
from detector.sources import kafka_log
from detector.sources.client_log import Handover
from detector.sources.kafka_commits import Commits
from detector.sources.kafka_connection import Connection
from detector.sources.kafka_trouble import Trouble
from detector.sources.ownership import Ownership
from detector.types import Batch, Partition, Position

_MOMENT = 1.0  # a connection made anew, or the first metadata, is no trouble yet

_log = structlog.get_logger(__name__)


class KafkaSource:
    """Reads the partitions that the group gives it. See `protocols.Source`.

    The consumer is made inside `poll`, so the broker may be away at start. `poll` raises SourceUnavailableError as
    long as no broker can be reached or no topic exists, and LogChangedError where the log is not the one that was
    read: then it asks the assignment anew, after `revoked`. `commit_failed` is told of every failed commit.
    """

    def __init__(
        self,
        config: Section,
        kafka: Kafka,
        *,
        clock: Clock,
        commit_failed: Callable[[], object] = lambda: None,
        record_bytes: int = 4 << 20,
    ) -> None:
        """Read secrets and certificates; ConfigError where one cannot be used. Larger records are cut."""
        self._config = config
        self._ownership = Ownership()
        self._trouble = Trouble(config, kafka, clock)
        self._connection = Connection(config, kafka, self._trouble, clock, record_bytes)
        self._commits = Commits(commit_failed)
        self._diverged: dict[Partition, int] = {}
        self._absent: set[str] = set()
        self._paused = False
        self._closing = False

    @property
    def _consumer(self) -> Any:
        return self._connection.consumer

    # --- the protocol

    @property
    def exhausted(self) -> bool:
        """A topic never ends."""
        return False

    @property
    def replayable(self) -> bool:
        """A log can be read again."""
        return True

    def start(self, assignment: Assignment) -> None:
        """Remember whom to tell; the broker is first asked inside `poll`."""
        self._ownership.tell(assignment)

    def poll(self, timeout: float) -> Sequence[Batch]:
        """Return what has arrived, waiting at most `timeout` seconds for the first; see the class for what it raises.

        While no broker can be reached, or the group shares the partitions anew, it waits a few seconds all the same.
        """
        self.connect()
        self._settle()
        batches = [self._batch(key, records) for key, records in self._fetch(timeout).items()]
        if self._connection.metadata_is_new:
            self._connection.metadata_is_new = False
            batches = self._without_topics_made_anew(batches)
            self._tell_of_absent_topics()
        self._settle()
        if batches:
            self._trouble.over()
        else:
            self._look_for_trouble()
        return batches

    def ask(self) -> None:
        """Ask for the next records, which come while the last of these are taken."""
        self._connection.ask()

    def pause(self) -> None:
        """Hand out no more records; the member stays in the group as long as `poll` is called."""
        self._paused = True
        if self._consumer is not None:
            self._consumer.pause(*self._consumer.assignment())

    def resume(self) -> None:
        """Undo `pause`."""
        self._paused = False
        if self._consumer is not None:
            arrived = self._ownership.topic_ids.keys() - self._ownership.arriving
            self._consumer.resume(*(TopicPartition(*partition) for partition in arrived))

    def commit(self, positions: dict[Partition, Position], store_id: str) -> None:
        """Commit next offsets with the store's id as metadata, in the background; only `close` waits for it."""
        if self._consumer is not None and positions:
            self._commits.commit(self._consumer, positions, store_id)

    def close(self) -> None:
        """Revoke what is owned and leave the group (a static member stays until `session_timeout`)."""
        self._closing = True
        self._commits.closing(silent=self._trouble.lasting)
        try:
            self._ownership.revoke_all()
        finally:
            self._connection.close(self._commits.patience_ms)

    # --- called on kafka-python's thread, while the caller's waits in `poll`

    def give(self, keys: Iterable[Any]) -> None:
        """Hold partitions back until the assignment has said where to begin."""
        for key in keys:
            self._consumer.seek(key, 0)
            self._consumer.pause(key)
        self._ownership.give(Partition(*key) for key in keys)
        self._hand_over()

    def take(self, keys: Iterable[Any], *, lost: bool) -> None:
        """Note partitions to be given up."""
        self._ownership.take([Partition(*key) for key in keys], lost=lost)
        self._hand_over()

    def _hand_over(self) -> None:
        if not self._closing:
            raise Handover

    # --- records

    def connect(self) -> None:
        """Reach a broker and log in, if that is not done; SourceError where it cannot be."""
        self._connection.connect(_Listener(self))

    def _fetch(self, timeout: float) -> dict[Any, list[Any]]:
        try:
            polled: dict[Any, list[Any]] = self._consumer.poll(timeout_ms=self._connection.patience(timeout) * 1000)
        except OffsetOutOfRangeError as error:
            self._ask_anew(Partition(*key) for key in error.args[0])
        except LogTruncationError as error:
            points = {Partition(*key): point for key, point in error.divergent_offsets.items()}
            self._diverged |= {partition: point.offset if point else 0 for partition, point in points.items()}
            self._ask_anew(points)
        except FencedInstanceIdError as error:
            self._ownership.lose_all()
            self._ownership.let_go()
            raise self._trouble.explain(error) from error
        except RetriableError as error:
            _log.debug("kafka-python tries again", error=str(error))
        except KafkaError as error:
            if not isinstance(error.__cause__, Handover):
                raise self._trouble.explain(error) from error
        else:
            return polled
        return {}

    def _batch(self, key: Any, records: list[Any]) -> Batch:
        try:
            behind = self._consumer.position(key, timeout_ms=0)
        except KafkaError:
            behind = None  # the position of some partition is in doubt, which the next poll says again
        end = self._consumer.highwater(key)
        return Batch(Partition(*key), records, behind or records[-1].offset + 1, -1 if end is None else end)

    # --- ownership

    def _settle(self) -> None:
        """Tell the assignment what was taken, then what was given."""
        self._ownership.let_go()
        if self._ownership.arriving:
            arriving = sorted(self._ownership.arriving)
            if not self._connection.refresh_metadata():
                raise self._trouble.silent(arriving[0])
            for partition in arriving:
                self._take_over(partition)

    def _take_over(self, partition: Partition) -> None:
        key = TopicPartition(*partition)
        try:
            log = kafka_log.facts(
                self._consumer,
                self._connection.cluster,
                key,
                known_end=self._diverged.get(partition),
                start=self._config.start,
            )
        except RetriableError as error:
            raise self._trouble.silent(partition) from error
        except KafkaError as error:
            raise self._trouble.explain(error) from error
        position = self._ownership.take_over(partition, log)
        offset = log.start if position is None else position.offset
        if not log.earliest <= offset <= log.end:
            self._ownership.revoke(partition)
            message = (
                f"{partition} was to be read from offset {offset}, but its log holds {log.earliest} to {log.end}:"
                " it was truncated, or the topic made anew; source.on_log_changed says what to do then"
            )
            raise LogChangedError(message)
        self._diverged.pop(partition, None)
        self._ownership.arrived(partition)
        self._consumer.seek(key, offset)
        if not self._paused:
            self._consumer.resume(key)

    def _ask_anew(self, partitions: Iterable[Partition]) -> None:
        partitions = set(partitions)
        assigned = self._consumer.assignment()
        self._consumer.pause(*(key for key in assigned if Partition(*key) in partitions))
        self._ownership.ask_anew(partitions)

    def _without_topics_made_anew(self, batches: list[Batch]) -> list[Batch]:
        """Ask the assignment anew about topics that have another id than when they were taken over."""
        owned = self._ownership.topic_ids
        ids = {topic: self._connection.cluster.topic_id(topic) for topic in {partition.topic for partition in owned}}
        made_anew = {p for p, known in owned.items() if ids[p.topic] is not None and str(ids[p.topic]) != known}
        if made_anew:
            self._ask_anew(made_anew)
        return [batch for batch in batches if batch.partition not in made_anew]

    # --- trouble

    def _look_for_trouble(self) -> None:
        """Raise where nothing can arrive, and has not for longer than a moment."""
        cluster, away = self._connection.cluster, self._connection.away
        missing = None
        if not away and self._ownership.empty:
            missing = self._trouble.no_topic(cluster.topics(), cluster.unauthorized_topics)
        if not away and missing is None:
            self._trouble.over()
        elif self._trouble.lasts() >= _MOMENT:
            if missing is not None:
                raise missing
            self._connection.find_brokers()

    def _tell_of_absent_topics(self) -> None:
        """Say once which of the topics do not exist, where others are read."""
        absent = set(self._config.topics or ()) - self._connection.cluster.topics()
        if self._ownership.topic_ids and absent != self._absent:
            self._absent = absent
            if absent:
                _log.warning("some of source.topics do not exist; they are read once they do", topics=sorted(absent))


def probe(kafka: Kafka, clock: Clock) -> str | None:
    """Reach a broker and log in, as the source does; return what is in the way, or None."""
    source = KafkaSource(Section(topics=["any"]), kafka, clock=clock)
    try:
        source.connect()
    except SourceError as error:
        return str(error)
    finally:
        source.close()
    return None


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python ships no types
    """Notes what the group gives and takes."""

    def __init__(self, source: KafkaSource) -> None:
        self._source = source

    def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        self._source.give(assigned)

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> None:
        self._source.take(revoked, lost=False)

    def on_partitions_lost(self, lost: Iterable[Any]) -> None:
        self._source.take(lost, lost=True)
