"""Absence: an entity that used to speak and has stopped, judged by the event time of its partition: the log decides.

Judged is at block boundaries, as of the end of the block before, and told by the first row of the block that begins. An
absence is an incident of kind `absence`: it opens when an entity's deadline has passed, and resolves when the entity
speaks again, or when it is given up. Where many fall silent at once they are one finding. After a pause of the whole
partition, as long as an absence, entities are given that time to speak: it was not they who stopped.

A deadline is in the bank with its slot; those of evicted entities are kept beside the directory, and come from the
store with it. What was judged once is not judged again: `judged` is the event time up to which deadlines were.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable

import numpy as np

from detector.config.detection import Detection
from detector.features.grouping import Grouped
from detector.models.absence_state import Absent, State, transition
from detector.models.awaiting import Waits, meet
from detector.models.bank import Bank
from detector.models.incident_state import Place
from detector.models.progress import Transition
from detector.models.seen import Seen
from detector.models.slots import Slots
from detector.types import Bool, Phase, Reason

_REST = 0.1
"""Nothing is judged anew before so many times the least absence: to look at a million deadlines takes a millisecond."""
_DEADLINE = struct.Struct("<d")
DEADLINE_BYTES = _DEADLINE.size
"""A slot's bytes begin with its deadline."""


class Absences:
    """Who is absent among the entities of a partition; `state` is what is kept of it in a checkpoint."""

    def __init__(self, bank: Bank, slots: Slots, detection: Detection, state: State) -> None:
        self._bank = bank
        self._slots = slots
        self.state = state
        self._settings = detection.absence
        self._waits = Waits.of(detection)
        self._keyed = detection.events.entity is not None
        self._of = {entity: finding for finding in state.findings for entity in finding.entities}

    def configure(self, detection: Detection) -> None:
        """Go on by another configuration: deadlines follow it from the next rows of their entities on."""
        before, self._settings = self._settings, detection.absence
        self._waits = Waits.of(detection)
        if before.enabled and not detection.absence.enabled:
            self.state = self.over()
            self._of = {}
        elif detection.absence.enabled and not before.enabled:
            self._late(self.state.heard)

    def over(self) -> State:
        """Return the state in which nobody is absent any more, what was open being to be told as given up."""
        state = self.state
        gone = [*state.gone, *state.findings]
        return State(gone=gone, heard=state.heard, judged=state.heard, spoke=state.spoke, pause=state.pause)

    def know(self, deadlines: Iterable[tuple[str, bytes]]) -> None:
        """Take over (entity, deadline) from the store."""
        known = ((entity, _DEADLINE.unpack(raw)[0]) for entity, raw in deadlines)
        self._slots.awaited.know(known, self.state.judged)

    @property
    def absent(self) -> int:
        """Entities that are absent now."""
        return len(self._of)

    def follow(self, seen: Seen, placed: Bool, by_slot: Grouped) -> list[Transition]:
        """Advance by the new rows of a block that have a slot; returns what resolved, as the entities are back.

        `placed` [n] tells those rows, and `by_slot` groups them. Called before the slots' `last_seen` is advanced.
        """
        if not self._keyed or not len(by_slot.order):
            return []
        slots, times = seen.slots[placed], seen.partition_times[placed]
        if times[0] - self.state.heard > self._waits.at_least:
            self.state.due = max(self.state.due, float(times[0]) + self._waits.at_least)
        self.state.heard = float(times[-1])
        known = np.isfinite(self._bank.last_seen[slots]) if self._of else None
        first, deadline = meet(self._bank, by_slot, times, self._waits)
        told: list[Transition] = []
        if known is not None:
            rows = np.flatnonzero(placed)
            for i in np.sort(first[(deadline <= self.state.judged) | ~known[first]]).tolist():
                told += self._return(self._slots.names[slots[i]] or "", seen.place(int(rows[i])))
        return told

    def begin_block(self, at: Place) -> list[Transition]:
        """Judge who is absent as of the end of the last block, told by the first row of the next."""
        self._pause(at.partition_time)
        told = [transition(finding, Phase.RESOLVE, Reason.GIVEN_UP, at) for finding in self.state.gone]
        self.state.gone = []
        heard = self.state.heard
        if self._keyed and self._settings.enabled and math.isfinite(heard) and heard >= self.state.due:
            told += self._give_up(at) + self._judge(at)
        return told

    def _pause(self, time: float) -> None:
        """Let the longest pause of the whole partition follow, by which the clock judges whether it is idle."""
        gap = time - self.state.spoke
        if math.isfinite(gap):
            self.state.pause = max(gap, self.state.pause * 2.0 ** (-gap / self._settings.known_for))
        self.state.spoke = time

    def _judge(self, at: Place) -> list[Transition]:
        deadlines = self._bank.awaited
        waiting = int(((deadlines > self.state.judged) & (deadlines < np.inf)).sum()) + len(self._slots.awaited)
        told = self._notice(self._late(self.state.heard), waiting, at)
        later = float(np.min(deadlines, where=deadlines > self.state.heard, initial=np.inf))
        ends = min((finding.noticed + self._settings.give_up for finding in self.state.findings), default=math.inf)
        soonest = min(later, self._slots.awaited.soonest, ends)
        least = self._waits.at_least  # before which no deadline can pass that rows to come will set
        self.state.due = self.state.heard + min(max(soonest - self.state.heard, _REST * least), least)
        return told

    def _late(self, now: float) -> dict[str, float]:
        """Return whose deadline has passed since the last judgement, by name, and when they were last seen."""
        deadlines = self._bank.awaited
        passed = np.flatnonzero((deadlines > self.state.judged) & (deadlines <= now))
        late = {self._slots.names[slot] or "": float(self._bank.last_seen[slot]) for slot in passed.tolist()}
        late |= {entity: self._slots.evicted[entity] for entity in self._slots.awaited.take(now)}
        self.state.judged = now
        return dict(sorted(late.items()))

    def _notice(self, late: dict[str, float], waiting: int, at: Place) -> list[Transition]:
        """Tell of those who are late: in one finding where they are many, with those who are absent already."""
        if not late:
            return []
        together = len(late) + self.absent > self._settings.share * (waiting + self.absent)
        single = len(late) == 1 or not together
        told = []
        for entities in [[entity] for entity in late] if single else [list(late)]:
            since = min(late[entity] for entity in entities)
            first = (at.position.offset, at.position.row)
            finding = Absent(first, self.state.heard, since, len(entities), single, dict.fromkeys(entities))
            self.state.findings.append(finding)
            self._of |= dict.fromkeys(entities, finding)
            told.append(transition(finding, Phase.OPEN, None, at))
        return told

    def _return(self, entity: str, at: Place) -> list[Transition]:
        finding = self._of.pop(entity, None)
        if finding is None:
            return []
        last = len(finding.entities) == 1
        told = [transition(finding, Phase.RESOLVE, Reason.RETURNED, at)] if last else []
        del finding.entities[entity]
        if last:
            self.state.findings = [each for each in self.state.findings if each is not finding]
        return told

    def _give_up(self, at: Place) -> list[Transition]:
        over = [each for each in self.state.findings if self.state.heard - each.noticed >= self._settings.give_up]
        if not over:
            return []
        for finding in over:
            for entity in finding.entities:
                del self._of[entity]
        self.state.findings = [each for each in self.state.findings if each not in over]
        return [transition(finding, Phase.RESOLVE, Reason.GIVEN_UP, at) for finding in over]
