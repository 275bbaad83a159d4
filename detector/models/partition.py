"""The model of one partition: rows in, scores and anomalies out; a function of the log and the control records.

Every row is scored at once, with the model of the last block boundary; the rows of the open block are kept and learned
together when it is complete. Running state (event time, when a slot was last seen, incidents) advances once a row.

    rows -> cut into blocks -> planned -> program -> judged -> followed     and at a boundary: learned, controls applied
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence

import numpy as np

from detector.models import saving
from detector.models.blocks import Cut, cuts, event_times
from detector.models.boundary import complete
from detector.models.following import follow
from detector.models.incoming import Incoming
from detector.models.parts import Parts
from detector.models.planning import plan
from detector.models.program import Stack
from detector.models.progress import Progress, Tally
from detector.models.scored import Scored
from detector.models.slots import NOWHERE
from detector.models.stacking import Turn, assemble, joined
from detector.types import NO_ROWS, ControlRecord, Float64, Rows


class PartitionModel(Parts):
    """Advances what a partition's model is made of, by rows and control records in log order."""

    def restore(
        self, header: bytes, entities: Iterable[tuple[str, float]], heads: Iterable[tuple[str, bytes]] = ()
    ) -> None:
        """Take up the state of a checkpoint; the entities (name, last seen) return from the store as they are met.

        `heads` are the first bytes of their states, `absence.DEADLINE_BYTES` of each.
        """
        saving.restore(self, header, entities, heads)

    def header(self) -> bytes:
        """Return what `restore` takes, as of now."""
        return saving.header(self)

    def control(self, controls: Iterable[ControlRecord]) -> None:
        """Add durable control records, in order; each takes effect at the start of its block."""
        self.controls.add(controls)

    def evict(self, before: float) -> int:
        """Drop from memory the slots last seen before then (event time) that the store has; returns how many.

        Those with an open incident stay: that they have fallen silent is to be noticed.
        """
        keep = np.union1d(self.open.slots, np.array(list(self.incidents.open), np.int64))
        return self.slots.evict(before, keep, clean=self.copying.clean)

    @property
    def waiting(self) -> Sequence[ControlRecord]:
        """Control records that are still to take effect, in order."""
        return self.controls.waiting

    def advance(self, rows: Rows) -> Progress:
        """Score and learn rows in log order.

        Takes only the rows before a change of the configuration: those behind it have to be decoded anew.
        """
        times = event_times(rows.times, self.time)
        incoming = Incoming(rows, self.transforms, self.bank, self.copying)
        tally = Tally(incoming.values)
        pieces = deque(self._cuts(times))
        taken = 0
        while pieces and not self.controls.apply(self):
            turns = plan(self, pieces, incoming, times, self.controls.until_next(self.open.number))
            taken = turns[-1].end
            self._run(turns, rows, times, tally)
            if taken:
                self.time = float(times[taken - 1])
                self.born = self.born if math.isfinite(self.born) else float(times[0])
        tally.overflowed = incoming.overflowed
        return tally.progress(taken, late=int((rows.times[:taken] < times[:taken]).sum()))

    def finish(self) -> None:
        """Learn the open block as it is, and seed from the rows there are: for data that end, which no log does."""
        if len(self.open):
            turn = Turn(self.open, len(self.open), 0, complete=True)
            self._run([turn], NO_ROWS, np.zeros(0), Tally(np.zeros((0, self.shape.features))))
        slots = self.slots.resident_slots()
        self.copying.before_change(slots)
        self.planting.seed_early(slots)

    def _cuts(self, times: Float64) -> list[Cut]:
        tick = self.detection.blocks.tick
        return cuts(times, held=len(self.open), open_time=self.open.time, size=self.shape.rows, tick=tick)

    def _run(self, turns: list[Turn], rows: Rows, times: Float64, tally: Tally) -> None:
        """Score a stack and learn its complete blocks."""
        stack, called = assemble(turns, self.shape, self.bank.modes)
        if self.known.any_fault:
            self._bar(stack, turns)
        self.copying.before_change(called)
        self.upkeep.reach(called)
        self._meet(turns, tally)
        scores, states = self.program(stack, self.bank.gather(called, stack.frame))
        if turns[0].complete:
            self.bank.scatter(called, states)
        judged = list[Scored]()
        for t, turn in enumerate(turns):
            scored = self.judging.judge(t, turn, scores)
            judged.append(scored)
            follow(self, turn, scored, rows=rows, times=times, tally=tally)
            if turn.complete:
                complete(self, turn, scored)
            else:
                self.open = turn.block
                self.judging.keep(scored)
        self.notable.gather(rows, tally)
        self.beside.ran(self.program, stack, called, turns, judged)

    def _bar(self, stack: Stack, turns: Sequence[Turn]) -> None:
        """Keep the rows that an operator has called a fault from being learned."""
        for t, turn in enumerate(turns):
            if turn.complete:
                stack.learns[t, : len(turn.block)] &= ~self.known.barred_of(turn.block)

    def _meet(self, turns: list[Turn], tally: Tally) -> None:
        """Let the slots see the features of the rows that are new."""
        slots = joined([turn.block.slots[turn.scored :] for turn in turns])
        rows = joined([turn.block.rows[turn.scored :] for turn in turns])
        can = joined([turn.block.usable[turn.scored :] for turn in turns])
        if can.all():  # they have slots, too
            self.bank.pivot(slots, rows)
            return
        placed = slots != NOWHERE
        self.bank.pivot(slots[placed], rows[placed])
        tally.unscored["entity_limit"] += len(slots) - int(placed.sum())
        tally.unscored["few_features"] += int(placed.sum()) - int(can.sum())
