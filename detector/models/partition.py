"""The model of one partition: rows in, scores and anomalies out; a function of the log and the control records.

Every row is scored at once, with the model of the last block boundary; the rows of the open block are kept and learned
together when it is complete. Running state (event time, when a slot was last seen, incidents) advances once a row.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from detector.config.detection import Detection
from detector.features.grouping import Grouped
from detector.features.layout import column_names, model_features
from detector.features.transforms import Transforms
from detector.models.absence import Absences
from detector.models.absence_state import State
from detector.models.bank import Bank
from detector.models.beside import Beside
from detector.models.blocks import Block, Cut, cuts, event_times, usable
from detector.models.budget import Budget, Running
from detector.models.copying import Copying
from detector.models.header import Header, float64
from detector.models.incident_state import without_shares
from detector.models.incidents import Incidents, Rules, Seen
from detector.models.incoming import Incoming
from detector.models.judging import Judging, Scored, smoothing_of
from detector.models.known import Known
from detector.models.learning import FREEZE, MODES, Learning
from detector.models.notable import Ended, Notable, Turned
from detector.models.planting import Planting
from detector.models.program import Program, Stack
from detector.models.progress import UNSCORED, Anomaly, Progress, Tally, Transition
from detector.models.quarantine import Quarantine
from detector.models.reference import Reference
from detector.models.said import Said
from detector.models.shape import SMALL, STACK, Shape, form, relates, rules_of, seed_rows, shape_of
from detector.models.slots import NOWHERE, WHOLE, Slots
from detector.models.stacking import SeedCount, Turn, assemble, distinct
from detector.models.upkeep import Upkeep
from detector.models.versions import version_for
from detector.models.window import WindowLimits
from detector.types import (
    NO_ROWS,
    Bool,
    ControlKind,
    ControlRecord,
    Float64,
    Int64,
    Partition,
    Phase,
    Reason,
    Rows,
)

_UPKEEP = 64
"""Upkeep of slots is due, and entities are forgotten, at every such multiple of blocks; no stack crosses one."""


class PartitionModel:
    """One partition's bank, open block, reference and control records.

    `programs` gives the compiled program of a detection configuration; `load` the states of evicted entities.

    model_version  counts the models of this partition from 1: a cold start makes a new one
    applied        control records that have taken effect
    time           the partition's event time, epoch seconds; -inf before the first row
    born           what it was when this version of the model began
    changes        what upkeep did to its slots so far: `reseeds` and `promotions`
    learning       the learning modes of its entities
    known          what operators said of regions
    notable        events to be kept for those who ask of them, `keep_events` at most
    """

    detection: Detection
    shape: Shape
    program: Program
    bank: Bank
    slots: Slots
    copying: Copying
    open: Block
    judging: Judging
    known: Known
    notable: Notable
    quarantine: Quarantine
    upkeep: Upkeep
    beside: Beside
    incidents: Incidents
    absences: Absences
    budget: Budget
    _faulty: Bool
    _transforms: Transforms
    _planting: Planting

    def __init__(  # noqa: PLR0913 - what a model is made of
        self,
        partition: Partition,
        detection: Detection,
        *,
        programs: Callable[[Detection], Program],
        load: Callable[[Sequence[str]], dict[str, bytes]],
        window: WindowLimits | None = None,
        keep_events: int = 0,
    ) -> None:
        self.partition = partition
        self._keep_events = keep_events
        self._programs = programs
        self._load = load
        self._window = window
        self._controls: deque[ControlRecord] = deque()
        self.applied = 0
        self.model_version = 1
        self.time = -math.inf
        self.changes = Counter[str]()
        self.learning = Learning(detection.learning, {})
        self.born = -math.inf
        self._begin_cold(detection, 0)

    # --- control records, checkpoints, memory

    def restore(
        self, header: bytes, entities: Iterable[tuple[str, float]], heads: Iterable[tuple[str, bytes]] = ()
    ) -> None:
        """Take up the state of a checkpoint; the entities (name, last seen) return from the store as they are met.

        `heads` are the first bytes of their states, `absence.DEADLINE_BYTES` of each.
        """
        saved = Header.decode(header)
        detection = Detection.from_payload(saved.detection)
        self.learning = Learning(detection.learning, saved.learning)
        self._begin_cold(detection, saved.number, saved.known)
        self.applied, self.model_version, self.upkeep.since = saved.applied, saved.model_version, saved.kept
        self.time = -math.inf if saved.time is None else saved.time
        self.born = -math.inf if saved.born is None else saved.born
        self.slots.know(entities)
        self.absences = Absences(self.bank, self.slots, detection, saved.absence)
        self.absences.know(heads)
        references = float64(saved.reference), float64(saved.gate_reference)
        self.judging.restore(float64(saved.smoothed), *references, float64(saved.marks))
        rows = np.frombuffer(saved.rows, "<f4").reshape(-1, self.shape.features)
        placed = np.frombuffer(saved.placed, np.bool_)
        slots = np.where(placed, self.slots.look_up(saved.entities), -1)
        can = usable(rows, slots, self._transforms.features)
        self.open = self.open.extended(rows, slots, can, self.time)
        self._faulty = np.frombuffer(saved.faulty, np.bool_)
        self._budget_by(self.detection, saved.budget)
        self.incidents.restore(saved.incidents, saved.ending)

    def header(self) -> bytes:
        """Return what `restore` takes, as of now."""
        slots = self.open.slots.tolist()
        return Header(
            detection=self.detection.to_payload(),
            model_version=self.model_version,
            time=self.time if math.isfinite(self.time) else None,
            applied=self.applied,
            number=self.open.number,
            rows=self.open.rows.astype("<f4").tobytes(),
            entities=[(self.slots.names[slot] if slot >= 0 else None) or WHOLE for slot in slots],
            placed=(self.open.slots >= 0).tobytes(),
            smoothed=self.judging.open_smoothed.astype("<f8").tobytes(),
            faulty=self._faulty.tobytes(),
            budget=self.budget.running,
            incidents=self.incidents.entities(),
            ending=self.incidents.ending,
            reference=self.judging.reference.counts.astype("<f8").tobytes(),
            gate_reference=self.judging.gating.counts.astype("<f8").tobytes(),
            marks=self.judging.marks.astype("<f8").tobytes(),
            kept=self.upkeep.since,
            absence=self.absences.state,
            learning=self.learning.said,
            born=self.born if math.isfinite(self.born) else None,
            known=self.known.said,
        ).encode()

    def control(self, controls: Iterable[ControlRecord]) -> None:
        """Add durable control records, in order; each takes effect at the start of its block."""
        self._controls.extend(controls)

    def evict(self, before: float) -> int:
        """Drop from memory the slots last seen before then (event time) that the store has; returns how many.

        Those with an open incident stay: that they have fallen silent is to be noticed.
        """
        keep = np.union1d(self.open.slots, np.array(list(self.incidents.open), np.int64))
        return self.slots.evict(before, keep, clean=self.copying.clean)

    @property
    def reference(self) -> Reference:
        """The recent scores that a rate is judged against."""
        return self.judging.reference

    @property
    def waiting(self) -> Sequence[ControlRecord]:
        """Control records that are still to take effect, in order."""
        return self._controls

    @property
    def slots_warming_up(self) -> int:
        """Resident slots that have no centroids yet, or have not learned enough rows to alert."""
        resident = self.slots.resident_slots()
        few = self.bank.rows_learned[resident] < self.detection.model.warm_up
        return int((few | self.bank.unseeded(resident)).sum())

    @property
    def slots_learning(self) -> dict[str, int]:
        """Resident slots by their learning mode."""
        counts = np.bincount(self.bank.modes[self.slots.resident_slots()], minlength=len(MODES))
        return dict(zip(MODES, counts.tolist(), strict=True))

    @property
    def centroids_active(self) -> int:
        """Centroids with mass, over the resident slots."""
        return int((self.bank.masses[self.slots.resident_slots()] > 0).sum())

    # --- rows

    def advance(self, rows: Rows) -> Progress:
        """Score and learn rows in log order.

        Takes only the rows before a change of the configuration: those behind it have to be decoded anew.
        """
        times = event_times(rows.times, self.time)
        incoming = Incoming(rows, self._transforms, self.bank, self.copying)
        tally = Tally(incoming.values)
        pieces = deque(self._cuts(times))
        taken = 0
        while pieces and not self._reconfigured():
            turns = self._plan(pieces, incoming, times)
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
        self._planting.seed_early(slots)

    def _cuts(self, times: Float64) -> list[Cut]:
        tick = self.detection.blocks.tick
        return cuts(times, held=len(self.open), open_time=self.open.time, size=self.shape.rows, tick=tick)

    def _plan(self, pieces: deque[Cut], incoming: Incoming, times: Float64) -> list[Turn]:
        """Take from `pieces` what fits one call: it ends before upkeep or a control record, and where slots seed."""
        room = min(STACK, _UPKEEP - self.open.number % _UPKEEP)
        if self._controls:
            room = min(room, self._controls[0].boundary - self.open.number)
        first, last = pieces[0].start, pieces[min(room, len(pieces)) - 1].end
        slots = self._find(incoming.entities, first, last)
        incoming.see(slots, first)
        can = usable(incoming.rows[first:last], slots, self._transforms.features)
        seeds, called = SeedCount(self.bank), set[int]()
        block, turns = self.open, list[Turn]()
        if len(block) + pieces[0].end - pieces[0].start <= SMALL:
            room = 1
        while pieces and len(turns) < room:
            cut, scored = pieces[0], len(block)
            rows = slice(cut.start - first, cut.end - first)
            if cut.end > cut.start:
                time = float(times[cut.end - 1])
                block = block.extended(incoming.rows[cut.start : cut.end], slots[rows], can[rows], time)
            if len(self.slots.resident) > self.shape.call_slots:  # else no call can have too many of them
                called.update(block.slots.tolist())
                if turns and len(called - {NOWHERE}) > self.shape.call_slots:
                    break
            pieces.popleft()
            turns.append(Turn(block, scored, cut.start, cut.complete))
            if not cut.complete or seeds.fills(turns[-1]) or block.time >= self.known.ends:
                break
            block = Block.empty(block.number + 1, self.shape.features, block.time)
        return turns

    def _find(self, entities: list[str] | None, start: int, end: int) -> Int64:
        if entities is None:
            return np.repeat(self.slots.find([WHOLE]), end - start)
        return self.slots.find(entities[start:end])

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
            self._observe(turn, scored, rows, times, tally)
            if turn.complete:
                self._learned(turn, scored)
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
        slots = np.concatenate([turn.block.slots[turn.scored :] for turn in turns])
        rows = np.concatenate([turn.block.rows[turn.scored :] for turn in turns])
        can = np.concatenate([turn.block.usable[turn.scored :] for turn in turns])
        placed = slots != NOWHERE
        self.bank.pivot(slots[placed], rows[placed])
        tally.unscored["entity_limit"] += len(slots) - int(placed.sum())
        tally.unscored["few_features"] += int(placed.sum()) - int(can.sum())

    def _observe(self, turn: Turn, scored: Scored, rows: Rows, times: Float64, tally: Tally) -> None:
        """Advance the running state by the turn's new rows, and tell what they are."""
        before = turn.scored - turn.first
        new, here = slice(before, None), slice(turn.start, turn.end)
        rates, slots = scored.rates[new], turn.block.slots[turn.scored :]
        tally.distance[here], tally.rates[here] = scored.distance[new], rates
        tally.smoothed[here], tally.common[here] = scored.seen.distance[new], scored.at.values[new]
        if not len(rates):
            return
        rate, alerting = self.budget.rate, self.detection.alerting
        placed = slots != NOWHERE
        by_slot = Grouped.of(slots[placed], rows.times[here][placed])
        since = self.judging.drifting(turn, scored, rows.times[here], by_slot)

        def describe(i: int) -> Anomaly:
            return scored.anomaly(
                before + i,
                turn.start + i,
                since=float(since[i]),
                observed=tally.observed[turn.start + i],
                threshold=self.budget.threshold,
                version=self.model_version,
                block=turn.block.number,
            )

        tally.rarest(rates, describe)
        judged = scored.warm[new] & (rates <= 1.0)
        flagged = judged & (rates <= rate) & (self.reference.total >= alerting.warm_up)
        critical = self.incidents.rules.critical * rate
        # A rate so small may be beyond what the reference supports: then its tail, as it goes on, tells the gravest.
        grave = judged & ((rates <= critical) | (scored.at.values[new] >= self.reference.extrapolated(critical)))
        seen = Seen(
            slots,
            rows.offsets[here],
            rows.rows[here],
            rows.times[here],
            times[here],
            rates,
            judged,
            flagged,
            grave,
            scored.seen.parts[new],
            turn.block.rows[turn.scored :],
            scored.distance[new],
            rate,
            scored.least_rate,
            describe,
        )
        if not turn.scored:
            tally.transitions += self.incidents.begin_block(seen) + self.absences.begin_block(seen.first)
        fresh = int(np.isinf(self.bank.last_seen[by_slot.slots]).sum())
        back = self.absences.follow(seen, placed, by_slot)
        self.bank.last_seen[slots[placed]] = seen.partition_times[placed]
        transitions, faulty, made = self.incidents.follow(seen)
        ready = self.reference.total >= alerting.warm_up
        self.notable.saw(
            Turned(
                turn,
                scored,
                flagged,
                since,
                self._alone(turn, scored),
                made,
                self.budget.threshold,
                ready=ready,
                version=self.model_version,
                by=self.known.ids,
            )
        )
        tally.transitions += sorted(back + transitions, key=lambda happened: happened.position)
        tally.flagged += (turn.start + np.flatnonzero(flagged)).tolist()
        tally.critical += int((flagged & seen.grave).sum())
        tally.suppressed, self.incidents.suppressed = tally.suppressed + self.incidents.suppressed, Counter()
        self._faulty = np.concatenate([self._faulty, faulty])
        opened = sum(happened.phase is Phase.OPEN for happened in transitions)
        self.budget.saw(exceedances=self._by_chance(transitions), incidents=opened, entities=fresh)

    def _by_chance(self, transitions: Sequence[Transition]) -> int:
        """Count the anomalous rows of the incidents that are over, one of each that was no chance.

        How many rows an incident has by chance is what a budget goes by: those of faults would multiply the rate.
        """
        most = self.incidents.rules.fault_count + 1
        counts = [happened.count for happened in transitions if happened.phase is Phase.RESOLVE]
        return sum(count if count <= most else 1 for count in counts)

    def _alone(self, turn: Turn, scored: Scored) -> Float64 | None:
        """Return the rates that the turn's new rows [n] would have but for what spared some, if anything did."""
        if scored.spared is None:
            return None
        new = slice(turn.scored - turn.first, None)
        alone = self.judging.alone(scored.distance[new], self.bank.sketches[turn.block.slots[turn.scored :]])
        return np.where(scored.spared[new] == -1, UNSCORED, alone)

    def _learned(self, turn: Turn, scored: Scored) -> None:
        """Follow a complete block: what the program does not keep, and what is due at this boundary."""
        block, bank = turn.block, self.bank
        able = block.usable & (bank.modes[block.slots] != FREEZE)
        barred = self.known.barred_of(block) if self.known.any_fault else None
        if barred is not None:
            able &= ~barred
        gates = bank.gates[block.slots]
        gated = able & (gates > 0) & (scored.distance > gates)
        learned = able & ~gated
        self.notable.ended(block.number, Ended(able, gated, barred, block.usable))
        self.beside.learned(block, scored, learned & ~self._faulty, self.budget.rate)
        self.judging.learn(block, scored, able, learned, self._faulty)
        self._faulty = np.zeros(0, np.bool_)
        self.budget.learn(int(block.usable.sum()), block.time)
        self.judging.rate = self.budget.rate
        if gated.any():
            self.quarantine.add(block.slots[gated], block.rows[gated], block.time)
        slots = block.slots[learned]
        present, group = distinct(slots, bank.capacity)
        bank.rows_learned[present] += np.bincount(group, minlength=len(present))
        self.open = Block.empty(block.number + 1, self.shape.features, block.time)
        if bank.pool.used:
            gathering = bank.unseeded(slots)
            bank.pool.append(bank.seeds[slots[gathering]], block.rows[learned][gathering])
            self._planting.seed(present)
        if block.time >= self.known.ends:
            self.known.expire(block.time)
        if self.open.number % _UPKEEP == 0:
            self.upkeep.fall_due(self.open.number)
            self._forget(block.time - self.detection.entities.forget_after)

    # --- at block boundaries

    def _forget(self, before: float) -> None:
        stale = self.slots.stale(before)
        self.copying.before_change(stale)
        self.incidents.end(stale.tolist(), Reason.FORGOTTEN)
        forgotten = self.slots.forget(before)
        self.budget.saw(entities=-len(forgotten))
        self.copying.forgotten += forgotten
        self.copying.released(stale)

    def _reconfigured(self) -> bool:
        """Apply the control records that are due; True where the rows to come have to be decoded anew."""
        before = self.detection
        while self._controls and not len(self.open) and self._controls[0].boundary <= self.open.number:
            record = self._controls.popleft()
            self.applied += 1
            match record.kind:
                case ControlKind.CONFIGURATION:
                    self._configure(Detection.from_payload(record.payload))
                case ControlKind.PARTITIONS:
                    self.budget.share(record.payload["partitions"])
                case ControlKind.LEARNING:
                    self.learning.say(record.payload["pattern"], record.payload["mode"])
                case ControlKind.FEEDBACK:
                    self.known.say(record.payload)
                case ControlKind.DECISION | ControlKind.ROLLBACK:
                    self._adopt(record.payload)
            self.slots.modes_changed()
            self.upkeep.fall_due(self.open.number)
        return self.detection != before

    def _configure(self, detection: Detection) -> None:
        """Take up another configuration: with the state where the model has the same form, else cold."""
        self.learning.configure(detection.learning)
        if form(detection) == form(self.detection):
            self.detection = detection
            self._transforms = Transforms(detection.events)
            self.program, self.shape = self._programs(detection), shape_of(detection)
            self.bank.shape = self.shape
            self.judging.configure(detection)
            self._budget_by(detection, self.budget.running)
            self.incidents.rules = Rules.of(detection)
            self.absences.configure(detection)
            self._planting.rules, self._planting.alphas = rules_of(detection), self.judging.alphas
            self.slots.limit = detection.entities.limit
        elif detection != self.detection:
            unsaved = self.copying.rest()
            forgotten = [*self.copying.forgotten, *self.slots.resident, *self.slots.evicted]
            self.model_version += 1
            self.incidents.end(list(self.incidents.open), Reason.FORGOTTEN)
            ending, absence = self.incidents.ending, self.absences.over()
            if detection.events != self.detection.events:  # what its shares are of is another thing
                ending = [without_shares(each) for each in ending]
            partitions = self.budget.running.partitions
            self._begin_cold(detection, self.open.number, self.known.said)
            self._budget_by(detection, Running(partitions=partitions))
            self.incidents.ending, self.absences.state = ending, absence
            self.copying.resume(unsaved, forgotten)

    def _adopt(self, payload: dict[str, Any]) -> None:
        """Take up the version that a decision or a rollback carries, if it was made for the model there is."""
        version = version_for(self.model_version, payload)
        if version is None:
            return
        slots = self.slots.look_up(version.entities)
        chosen = np.flatnonzero(slots >= 0)
        chosen = chosen[~self.bank.unseeded(slots[chosen])]
        self.copying.before_change(slots[chosen])
        version.put(self.bank, slots[chosen], chosen)
        self.model_version += 1
        self.born = self.time
        self.beside.shadow = None

    def _begin_cold(self, detection: Detection, number: int, known: Iterable[Said] = ()) -> None:
        self.detection = detection
        self.shape = shape_of(detection)
        self.program = self._programs(detection)
        rules, alphas = rules_of(detection), smoothing_of(detection)
        self._transforms = Transforms(detection.events)
        history = self._transforms.width
        seeds, relations = seed_rows(detection), relates(detection)
        self.bank = Bank(self.shape, seeds, smoothing=len(alphas), history=history, relations=relations)
        self.slots = Slots(self.bank, detection.entities.limit, self._load, self.learning.mode_of)
        self.known = Known(self.slots, column_names(detection.events), known)
        self.judging = Judging(self.bank, detection, self.known)
        self._planting = Planting(self.partition, self.bank, self.slots, rules, alphas)
        self.quarantine = Quarantine(self.bank, self._planting, self.known)
        self.upkeep = Upkeep(self.bank, self._planting, self.quarantine, self.judging, self.changes)
        earlier = self.notable.hand_over() if hasattr(self, "notable") else []
        self.notable = Notable(model_features(detection.events), self.shape.features, self._keep_events, earlier)
        self.copying = Copying(self.bank, self.slots)
        self.beside = Beside(self.partition, self.bank, self.slots, self.judging, self._window)
        self.born = self.time
        self.incidents = Incidents(self.bank, self.slots, self.copying, Rules.of(detection))
        self.absences = Absences(self.bank, self.slots, detection, State())
        self._faulty = np.zeros(0, np.bool_)
        self._budget_by(detection, Running())
        self.open = Block.empty(number, self.shape.features, self.time)

    def _budget_by(self, detection: Detection, running: Running) -> None:
        self.budget = Budget(detection.alerting, running)
        self.judging.rate = self.budget.rate
