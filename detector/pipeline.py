"""The way of one batch, from the log to the outbox. Read this first.

    poll -> decode -> score and learn -> alert -> alert commit        for every batch
                               and now and then: checkpoint -> commit the offset to the log

What is detected is a function of each partition's log and control records alone. All of this runs on the main thread,
which alone owns the source, the models and the positions; writing and delivering happen on threads beside it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from detector.config.detection import Detection
from detector.errors import SourceUnavailableError
from detector.models.progress import Progress, Transition
from detector.owned import Owned, portions
from detector.portion import DecodedPortion, Done, records_from
from detector.protocols import AskingSource, Clock, Source
from detector.store.writer import Finished, Writer
from detector.types import Batch, OutboxEntry, Partition, Place, Position, Rows

_COPY_SECONDS = 0.005
"""How long one turn may copy changed slots for checkpoints."""
_PENDING_BYTES = 64 << 20
"""Bytes waiting for the writer beyond which no more slots are copied."""


class Alerts(Protocol):
    """Turns what happened to incidents into outbox entries."""

    def raise_(
        self, place: Place, detection: Detection, rows: Rows, transitions: Sequence[Transition], through: Position
    ) -> list[OutboxEntry]:
        """Return the entries of those transitions that lie at or behind `through`."""


class Observer(Protocol):
    """Is told what happened, for the metrics. Changes nothing."""

    def decoded(self, owned: Owned, done: Done, seconds: float) -> None:
        """Say that a portion was decoded, scored and learned."""

    def advanced(self, owned: Owned, rows: Rows, progress: Progress) -> None:
        """Say what the model made of some rows."""

    def alerted(self, entries: Sequence[OutboxEntry]) -> None:
        """Say that alerts went to the outbox."""

    def read(self, owned: Owned, batch: Batch) -> None:
        """Say that a batch is done."""

    def saved(self, owned: Owned, finished: Finished, evicted: int) -> None:
        """Say that a checkpoint is durable, and how many slots left memory after it."""


class Pipeline:
    """Takes what the source has, a turn at a time. `partitions` are those that this worker owns at the moment."""

    def __init__(  # noqa: PLR0913 - the parts of the pipeline
        self,
        source: Source,
        partitions: dict[Partition, Owned],
        *,
        alerts: Alerts,
        writer: Writer,
        observer: Observer,
        clock: Clock,
        store_id: str,
        checkpoint_interval: float,
    ) -> None:
        self._source = source
        self._asked = source if isinstance(source, AskingSource) else None
        self._partitions = partitions
        self._alerts = alerts
        self._writer = writer
        self._observer = observer
        self._clock = clock
        self._store_id = store_id
        self._interval = checkpoint_interval
        self._fetched: deque[tuple[Owned, Batch]] = deque()

    def turn(self, timeout: float) -> int:
        """Poll once, for at most `timeout` seconds, and take all that has come; returns the number of records.

        Where the source or a schema registry is away for now, SourceUnavailableError tells: what was taken before is
        saved all the same, and a batch that could not be taken is kept for the next turn.
        """
        try:
            self._fetch(timeout)
            records = self._take_fetched()
        except SourceUnavailableError:
            self._save()
            raise
        self._save()
        return records

    def _fetch(self, timeout: float) -> None:
        copying = self._writer_has_room and any(owned.copying for owned in self._partitions.values())
        for batch in self._source.poll(0.0 if copying else timeout):
            if owned := self._partitions.get(batch.partition):
                self._fetched.append((owned, batch))

    def _take_fetched(self) -> int:
        records = 0
        while self._fetched:
            owned, batch = self._fetched[0]
            if len(self._fetched) == 1 and self._asked is not None:
                self._asked.ask()
            if self._partitions.get(batch.partition) is owned:  # else it is another worker's by now
                self._take(owned, batch)
                records += len(batch.records)
            self._fetched.popleft()
        return records

    def _take(self, owned: Owned, batch: Batch) -> None:
        """Take a batch a portion at a time, so that alerts are not held up by what comes behind them."""
        records = records_from(batch.records, owned.position)
        while records:
            started = self._clock.monotonic()
            decoded = owned.decode(records)
            with owned.taking():
                self._advance(owned, decoded)
                self._observer.decoded(owned, owned.done(decoded), self._clock.monotonic() - started)
            records = records_from(records, owned.position)
        owned.read(batch)
        self._observer.read(owned, batch)

    def _advance(self, owned: Owned, decoded: DecodedPortion) -> None:
        """Score and learn rows, and tell of incidents, up to a change of the configuration."""
        for rows in portions(decoded.rows):
            progress = owned.model.advance(rows)
            owned.moved(rows, progress)
            self._alert(owned, rows, progress)
            self._observer.advanced(owned, rows, progress)
            if progress.taken < len(rows):
                return  # what is left is decoded anew
        owned.position = Position(decoded.end)

    def _alert(self, owned: Owned, rows: Rows, progress: Progress) -> None:
        """Commit alerts to the outbox, together with the position that alerts are complete to."""
        entries = self._alerts.raise_(owned.place, owned.detection, rows, progress.transitions, owned.through)
        if entries:
            owned.through = owned.position
            self._writer.alerts(owned.store, entries, owned.through, owned.model.open.number, owned.kept())
            self._observer.alerted(entries)

    def _save(self) -> None:
        """Begin checkpoints that are due, carry on those under way, and commit the offsets of those that are done."""
        now = self._clock.monotonic()
        for owned in self._partitions.values():
            if owned.due(now, self._interval):
                owned.begin_checkpoint(now)
        deadline = now + _COPY_SECONDS
        for owned in self._partitions.values():
            while self._writer_has_room and owned.continue_checkpoint(self._writer):
                if self._clock.monotonic() > deadline:
                    return self._commit()
        return self._commit()

    @property
    def _writer_has_room(self) -> bool:
        return self._writer.pending_bytes < _PENDING_BYTES

    def _commit(self) -> None:
        positions: dict[Partition, Position] = {}
        for done in self._writer.finished():
            owned = self._partitions.get(done.partition)
            if owned is not None and owned.checkpoint_done(done.checkpoint):
                positions[done.partition] = done.checkpoint.position
                evicted = owned.model.evict(owned.model.time - owned.model.detection.entities.evict_after)
                self._observer.saved(owned, done, evicted)
        if positions:
            self._source.commit(positions, self._store_id)
