"""Taking partitions over and giving them up: the store is opened, the model restored, and the other way round."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import structlog

from detector.config.detection import Detection
from detector.errors import NoRoomError, StoreError, StoreFullError, StoreLockedError
from detector.models.absence import DEADLINE_BYTES
from detector.models.partition import PartitionModel
from detector.owned import Owned
from detector.protocols import Clock, Decoder, PartitionStore, Store
from detector.store.continuity import Policy, Start, judge
from detector.store.writer import Writer
from detector.types import Checkpoint, ControlKind, ControlRecord, LogFacts, Partition, Position

log = structlog.get_logger(__name__)

_LOCK_SECONDS = 5.0
_LOCK_TRIES_SECONDS = 0.05
_SAVE_SECONDS = 60.0
"""How long a partition's last checkpoint may take."""
_DRAIN_SECONDS = 0.2
"""How often is looked, meanwhile, whether there is room for it at all."""

Load = Callable[[Sequence[str]], dict[str, bytes]]


class Outboxes(Protocol):
    """Delivers what the outboxes of attached stores hold."""

    def attach(self, store: PartitionStore) -> None:
        """Deliver from this store, too."""

    def detach(self, partition: Partition) -> None:
        """Leave a store alone; returns once nothing of it is in flight."""


class Comings(Protocol):
    """Is told who comes and goes, for the metrics."""

    def rebalanced(self) -> None:
        """Say that a partition came or went."""

    def left(self, partition: Partition) -> None:
        """Say that a partition is no longer this worker's."""


class Ownership:
    """The partitions of this worker. The source calls it as they come and go (`protocols.Assignment`)."""

    def __init__(  # noqa: PLR0913 - what a partition is put together from
        self,
        store: Store,
        detection: Detection,
        *,
        models: Callable[[Partition, Detection, Load], PartitionModel],
        decoders: Callable[[Detection], Decoder],
        writer: Writer,
        outboxes: Outboxes,
        observer: Comings,
        clock: Clock,
        policy: Policy,
        replayable: bool,
        fingerprint: str,
        letters_to_topic: bool,
        commit: Callable[[dict[Partition, Position], str], None],
    ) -> None:
        self.owned: dict[Partition, Owned] = {}
        self._store = store
        self._detection = detection
        self._models = models
        self._decoders = decoders
        self._writer = writer
        self._outboxes = outboxes
        self._observer = observer
        self._clock = clock
        self._policy = policy
        self._replayable = replayable
        self._fingerprint = fingerprint
        self._letters_to_topic = letters_to_topic
        self._commit = commit

    # --- protocols.Assignment

    def assigned(self, partition: Partition, facts: LogFacts) -> Position:
        """Open the partition's store, restore its model, and return where to read on.

        Raises LogChangedError where the log is not the one of the checkpoint and the configuration does not say
        what to do; NoRoomError where the disk is full; StoreError where the store cannot be used.
        """
        try:
            store = self._open(partition)
            try:
                owned = self._take_over(partition, facts, store)
            except BaseException:
                store.close()
                raise
        except StoreFullError as full:
            raise NoRoomError(str(full)) from full
        self.owned[partition] = owned
        self._outboxes.attach(store)
        self._observer.rebalanced()
        return owned.position

    def revoked(self, partition: Partition) -> None:
        """Save everything of the partition, tell the log, and let go of its store."""
        owned = self.owned.pop(partition, None)
        if owned is None:
            return
        if not owned.torn and self._finish(owned):
            self._commit({partition: owned.position}, self._store.id)
        else:
            self._abandon(owned)
        self._let_go(owned)

    def lost(self, partition: Partition) -> None:
        """Drop the partition without writing: it is another worker's already."""
        owned = self.owned.pop(partition, None)
        if owned is not None:
            log.warning("partition_lost", partition=str(partition), advice="it is scored again from its checkpoint")
            self._writer.forget(owned.store)
            self._let_go(owned)

    def settle(self) -> None:
        """Wait until everything that was handed to the writer is durable."""
        for owned in self.owned.values():
            self._drain(owned)

    def reconfigure(self, detection: Detection) -> dict[Partition, int]:
        """Let another configuration take effect, at the next boundary of each partition; returns those boundaries.

        Raises StoreFullError where there is no room for that. It is looked for beforehand, so that nothing has changed
        then; where the room ended in between, the error names the partitions that have it already.
        """
        payload = detection.to_payload()
        changing = {p: owned for p, owned in self.owned.items() if _configuration(owned.controls) != payload}
        if changing and self._writer.blocked is not None:
            raise StoreFullError(self._writer.blocked)
        told: dict[Partition, int] = {}
        for partition, owned in changing.items():
            try:
                told[partition] = _configure(owned, payload)
            except StoreError as error:
                if told:
                    error.args = (f"{error} (already changed: {', '.join(map(str, told))}; reload again)",)
                raise
        self._detection = detection
        return told

    # --- taking over

    def _open(self, partition: Partition) -> PartitionStore:
        """Open the store; a worker on this machine that just gave the partition up may take a moment to let go."""
        deadline = self._clock.monotonic() + _LOCK_SECONDS
        while True:
            try:
                return self._store.open(partition)
            except StoreLockedError:
                if self._clock.monotonic() > deadline:
                    raise
                time.sleep(_LOCK_TRIES_SECONDS)

    def _take_over(self, partition: Partition, facts: LogFacts, store: PartitionStore) -> Owned:
        saved = store.checkpoint()
        verdict = judge(partition, saved, facts, self._store.id, self._policy)
        if verdict.found:
            log.warning("log_changed", found=verdict.found, start=verdict.start.value, at=verdict.position)
        if verdict.new_log:
            store.start_over(keep_state=verdict.start is not Start.COLD)
            saved = store.checkpoint()
        position = verdict.position if verdict.position is not None else Position(facts.start)
        if saved and saved.fingerprint != self._fingerprint:
            log.warning("fingerprint_changed", was=saved.fingerprint, now=self._fingerprint, effect="scores may differ")
        through, block = store.alerts_through()
        if not self._replayable:
            position = max(position, through)  # what lies before is gone, and a place has one id
        controls = store.controls()
        if not controls:
            controls = [ControlRecord(0, ControlKind.CONFIGURATION, self._detection.to_payload())]
            store.add_control(controls[0])
        owned = Owned(
            partition,
            facts.topic_id or self._store.id,
            store=store,
            model=self._model(partition, store, saved, controls),
            controls=controls,
            position=position,
            through=through,
            through_block=block,
            decoders=self._decoders,
            fingerprint=self._fingerprint,
            letters_to_topic=self._letters_to_topic,
        )
        log.info("partition_assigned", partition=str(partition), reads_from=position, entities=len(owned.model.slots))
        if _configuration(controls) != (payload := self._detection.to_payload()):
            _configure(owned, payload)
        self._share(owned, facts.partitions)
        for other in self.owned.values():
            self._share(other, facts.partitions)
        if saved is None or saved.position != position:
            self._finish(owned)
        return owned

    def _model(
        self, partition: Partition, store: PartitionStore, saved: Checkpoint | None, controls: list[ControlRecord]
    ) -> PartitionModel:
        """Restore the model, with the control records that are still to take effect."""
        first = next(control for control in controls if control.kind is ControlKind.CONFIGURATION)
        model = self._models(partition, Detection.from_payload(first.payload), store.read_slots)
        if saved is not None:
            model.restore(saved.header, store.directory(), store.heads(DEADLINE_BYTES))
        model.control(controls[model.applied :])
        return model

    def _share(self, owned: Owned, partitions: int) -> None:
        """Divide the alert budget by so many partitions from the next boundary on, if it is another number."""
        if owned.partitions != partitions:
            owned.control(ControlKind.PARTITIONS, {"partitions": partitions})

    # --- giving up

    def _finish(self, owned: Owned) -> bool:
        """Make everything up to the partition's position durable; False where that cannot be for now."""
        owned.hand_over(self._writer)
        if owned.unsaved:
            owned.begin_checkpoint(self._clock.monotonic())
            owned.hand_over(self._writer)
        return self._drain(owned)

    def _drain(self, owned: Owned) -> bool:
        """Wait until what was handed to the writer is durable; False where there is no room, or it takes too long."""
        deadline = self._clock.monotonic() + _SAVE_SECONDS
        while not self._writer.drain(owned.store, _DRAIN_SECONDS):
            if self._writer.blocked is not None or self._clock.monotonic() > deadline:
                return False
        return True

    def _abandon(self, owned: Owned) -> None:
        """Leave the partition at its last checkpoint; alerts that were raised since are durable if anything can be."""
        self._drain(owned)
        why = "it failed in the middle of a batch" if owned.torn else self._writer.blocked
        advice = "what was read since the last checkpoint is read again"
        log.error("checkpoint_abandoned", partition=str(owned.partition), why=why, advice=advice)
        self._writer.forget(owned.store)

    def _let_go(self, owned: Owned) -> None:
        self._outboxes.detach(owned.partition)
        owned.store.close()
        self._observer.left(owned.partition)
        self._observer.rebalanced()


def _configuration(controls: Iterable[ControlRecord]) -> dict[str, Any]:
    """Return the payload of the configuration that takes effect last."""
    return [control.payload for control in controls if control.kind is ControlKind.CONFIGURATION][-1]


def _configure(owned: Owned, payload: dict[str, Any]) -> int:
    """Let another configuration take effect at the next boundary; returns it."""
    record = owned.control(ControlKind.CONFIGURATION, payload)
    log.info("configuration_changes", partition=str(owned.partition), at_block=record.boundary)
    return record.boundary
