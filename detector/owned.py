"""A partition that this worker owns: its store, its model, how far it is, and its next checkpoint."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from detector.alerts import dead_letters
from detector.config.detection import Detection
from detector.control_records import ControlRecords
from detector.models.kept import encoded
from detector.models.partition import PartitionModel
from detector.models.progress import Progress
from detector.portion import (
    DecodedPortion,
    Done,
    dead_letter,
    details_of,
    records_before,
    rejected_before,
    rejected_from,
    rows_before,
)
from detector.protocols import Decoder, PartitionStore
from detector.store.writer import Writer
from detector.types import (
    Batch,
    Checkpoint,
    ControlKind,
    ControlRecord,
    DeadLetter,
    KeptEvents,
    OutboxEntry,
    Partition,
    Place,
    Position,
    Record,
    Rows,
)

PORTION = 7680
"""Rows that are scored before their alerts are committed, at most: with the open block they fit one call of the
program, where blocks have 512 rows, as is usual with an entity field."""

_REJECTED_BYTES = 8 << 20
"""Rejected bytes in memory from which on a checkpoint is due at once."""


@dataclass
class _Saving:
    """A checkpoint under way: as of when it began."""

    checkpoint: Checkpoint
    forgotten: list[str]
    rejects: list[DeadLetter]
    entries: list[OutboxEntry]
    events: list[KeptEvents]
    spent: list[int]
    started: float
    handed_over: bool = False


class Owned:
    """Everything of one partition on the main thread.

    controls   its control records
    position   where the log is read on: everything before it is scored
    through    alerts before this position are in the outbox already (a replay raises them not again)
    log_end    end of the log as last heard, -1 where it is not known
    rows_seen  rows taken since this worker has the partition
    torn       something failed in the middle of `taking`: it must not be saved
    """

    def __init__(  # noqa: PLR0913 - what belongs to a partition
        self,
        partition: Partition,
        topic_id: str,
        *,
        store: PartitionStore,
        model: PartitionModel,
        controls: Sequence[ControlRecord],
        position: Position,
        through: Position,
        through_block: int,
        decoders: Callable[[Detection], Decoder],
        fingerprint: str,
        letters_to_topic: bool,
    ) -> None:
        self.partition = partition
        self.topic_id = topic_id
        self.store = store
        self.model = model
        self.controls = ControlRecords(store, controls)
        self.position = position
        self.through = through
        self.log_end = -1
        self.rows_seen = 0
        self._through_block = through_block
        self._decoders = decoders
        self._decoded_for = model.detection
        self._decoder = decoders(model.detection)
        self._portion = PORTION
        self._fingerprint = fingerprint
        self._letters_to_topic = letters_to_topic
        self._rejects: list[DeadLetter] = []
        self._rejected_bytes = 0
        self._saving: _Saving | None = None
        self._saved_position: Position | None = None
        self._begun = 0.0
        self.torn = False

    # --- rows

    @property
    def place(self) -> Place:
        """Where its rows come from."""
        return Place(self.partition, self.topic_id)

    @property
    def detection(self) -> Detection:
        """The configuration by which the rows in hand were decoded and scored; the model's own may be newer."""
        return self._decoded_for

    @contextmanager
    def taking(self) -> Iterator[None]:
        """Mark what happens inside as one: left by an exception, model, position and alerts do not fit together."""
        self.torn = True
        yield
        self.torn = False

    def decode(self, records: Sequence[Record]) -> DecodedPortion:
        """Decode the first of some records with the configuration in force, without the rows before `position`."""
        detection = self.model.detection
        if self._decoded_for is not detection and self._decoded_for != detection:  # it is long to compare
            self._decoder = self._decoders(detection)
        self._decoded_for = detection
        part = records[: self._portion]
        decoded = self._decoder.decode(part)
        self._portion = max(1, PORTION * len(part) // max(len(decoded.rows), len(part)))
        rejects = [left for reject in decoded.rejects if (left := rejected_from(reject, self.position))]
        rows = decoded.rows[rows_before(decoded.rows, self.position) :]
        return DecodedPortion(part, rows, rejects, decoded.passed_over)

    def moved(self, rows: Rows, progress: Progress) -> None:
        """Move the position behind the rows that were taken."""
        self.rows_seen += progress.taken
        if progress.taken < len(rows):
            self.position = Position(int(rows.offsets[progress.taken]), int(rows.rows[progress.taken]))
        elif len(rows):
            self.position = Position(int(rows.offsets[-1]), int(rows.rows[-1]) + 1)

    def read(self, batch: Batch) -> None:
        """Move the position behind a batch of which all is taken."""
        self.position = max(self.position, Position(batch.next_offset))
        self.log_end = batch.end_offset

    def kept(self) -> list[KeptEvents]:
        """Return the events that are to be kept for those who ask of them, since the last call."""
        return encoded(self.model.notable.hand_over())

    def done(self, portion: DecodedPortion) -> Done:
        """Tell what became of a portion, and keep its rejects for the dead letters of the next checkpoint.

        Where the configuration changed in it, what lies behind `position` is decoded anew, and counts then.
        """
        passed_over = portion.passed_over
        if self.position < Position(portion.end):
            records = records_before(portion.records, self.position)
            passed_over = self._decoder.decode(records).passed_over if records else 0
        rejects = [left for reject in portion.rejects if (left := rejected_before(reject, self.position))]
        return Done(
            rows_before(portion.rows, self.position),
            passed_over,
            Counter(reason.value for reject in rejects for reason in reject.reasons),
            sum(self._keep(dead_letter(self.partition, reject)) for reject in rejects),
            details_of(rejects),
        )

    def _keep(self, letter: DeadLetter) -> bool:
        """Keep a dead letter; False where its record has one, as the configuration changed in the middle of it."""
        last = self._rejects[-1] if self._rejects else None
        if last is not None and last.offset == letter.offset:
            if letter.rows:
                rows, reasons = last.rows + letter.rows, last.reasons + letter.reasons
                self._rejects[-1] = replace(last, rows=rows, reasons=reasons)
            return False
        self._rejects.append(letter)
        self._rejected_bytes += len(letter.value or b"")
        return True

    # --- control records

    @property
    def partitions(self) -> int:
        """How many partitions share the alert budget, by the last control record that says so."""
        said = [record for record in self.model.waiting if record.kind is ControlKind.PARTITIONS]
        return int(said[-1].payload["partitions"]) if said else self.model.budget.running.partitions

    def control(self, kind: ControlKind, payload: dict[str, Any]) -> ControlRecord:
        """Let an input beside the log take effect at the next block boundary; it is durable when this returns.

        That boundary lies behind the open block, behind the block that alerted last (which a replay may not have
        reached yet: what has alerted stays as it is), and not before that of an earlier record. Payloads are plain
        JSON values. Raises StoreFullError where there is no room for it: then nothing has changed.
        """
        model = self.model
        waiting = model.waiting[-1].boundary if model.waiting else 0
        record = ControlRecord(max(self._through_block + 1, model.open.number + 1, waiting), kind, payload)
        self.controls.add(record)
        model.control([record])
        return record

    # --- checkpoints

    @property
    def saving(self) -> bool:
        """Whether a checkpoint is under way."""
        return self._saving is not None

    @property
    def unsaved(self) -> bool:
        """Whether the position has moved since the last checkpoint began."""
        return self.position != self._saved_position

    @property
    def copying(self) -> bool:
        """Whether slots are still to be copied for the checkpoint under way."""
        return self._saving is not None and not self._saving.handed_over

    def due(self, now: float, interval: float) -> bool:
        """Tell whether a checkpoint should begin (monotonic seconds): after `interval`, or when much was rejected."""
        if self.torn or self.saving or not self.unsaved:
            return False
        return now - self._begun >= interval or self._rejected_bytes >= _REJECTED_BYTES

    def begin_checkpoint(self, now: float) -> None:
        """Take a consistent copy as of now: all but the slots at once, the slots piece by piece."""
        model = self.model
        model.copying.begin()
        forgotten, model.copying.forgotten = model.copying.forgotten, []
        rejects, self._rejects, self._rejected_bytes = self._rejects, [], 0
        letters = rejects if self._letters_to_topic else []
        spent = self.controls.drop_spent(model)
        self._saving = _Saving(
            Checkpoint(self.position, model.open.number, model.header(), self._fingerprint, self.topic_id),
            [entity for entity in forgotten if entity not in model.slots],
            rejects,
            [dead_letters.outbox_entry(letter, self.topic_id) for letter in letters],
            self.kept(),
            spent,
            now,
        )
        self._saved_position, self._begun = self.position, now

    def continue_checkpoint(self, writer: Writer) -> bool:
        """Hand the next piece to the writer; False when there is nothing left to hand over."""
        saving = self._saving
        if saving is None or saving.handed_over:
            return False
        piece = self.model.copying.take()
        if piece is not None:
            writer.slots(self.store, piece)
            return True
        saving.handed_over = True
        writer.checkpoint(
            self.store,
            saving.checkpoint,
            saving.forgotten,
            saving.rejects,
            saving.entries,
            started=saving.started,
            events=saving.events,
            spent=saving.spent,
        )
        return False

    def hand_over(self, writer: Writer) -> None:
        """Hand all that is left of the checkpoint under way to the writer."""
        while self.continue_checkpoint(writer):
            pass

    def checkpoint_done(self, checkpoint: Checkpoint) -> bool:
        """Take note that a checkpoint is durable; False where it is not the one under way."""
        if self._saving is None or self._saving.checkpoint is not checkpoint:
            return False
        self.model.copying.durable()
        self._saving = None
        return True


def portions(rows: Rows) -> Iterator[Rows]:
    """Divide rows into portions of bounded size; one even where there are none."""
    for start in range(0, max(len(rows), 1), PORTION):
        yield rows[start : start + PORTION]
