"""The shadow: a candidate scores the live stream beside the model, and the rows kept apart at its end.

Nothing here changes detection: what does is the control record with the decision. So a shadow is not kept, and begins
anew where a partition is taken over in the middle of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from detector.features.smoothing import smooth_by_all
from detector.models.bank import Bank
from detector.models.blocks import Block
from detector.models.calibration import scaled
from detector.models.decision import Decision, Seen, decide
from detector.models.ended import Ended
from detector.models.judging import Judging, follow_sketches
from detector.models.program import Program, Stack, StackScores
from detector.models.scale import standardised
from detector.models.scored import Scored
from detector.models.slots import Slots
from detector.models.stacking import Turn, assemble
from detector.models.versions import Version
from detector.models.window import Sample
from detector.types import Bool, Float32, Float64, Int64

_SETTLING = 1 / 3
"""Share of the blocks in which a candidate's calibration settles before rows are counted."""
_CLEARLY = 0.1
"""Rows kept apart count that the model flags with a decade to spare. The others are false alarms for the most part:
normal rows about the threshold, of which no two models flag the same."""


class Shadow:
    """One candidate in the shadow for so many blocks; `target` is the rate from which on rows are flagged.

    It is judged as the model is: by the same filters, feedback, relations and smoothing, and its sketches follow the
    same rows.
    """

    def __init__(  # noqa: PLR0913 - what a candidate is compared with
        self, version: Version, *, bank: Bank, slots: Slots, judging: Judging, target: float, blocks: int
    ) -> None:
        self.version = version
        self._bank = bank
        self._slots = slots
        self._judging = judging
        self._target = target
        self._blocks = blocks
        self._sketches = version.sketches.copy()
        self._smoothed = np.full((len(version), len(judging.alphas)), np.nan)
        self._counts = np.zeros((5, len(version)))
        self._seen = 0

    @property
    def complete(self) -> bool:
        """Whether it has seen its blocks."""
        return self._seen >= self._blocks

    def score(  # noqa: PLR0913, PLR0917 - what the model made of a stack
        self,
        program: Program,
        stack: Stack,
        called: Int64,
        turns: Sequence[Turn],
        scored: Sequence[Scored],
        ended: Sequence[Ended],
    ) -> None:
        """Score the complete blocks of a stack by the candidate.

        `scored` is what the model made of its turns, and `ended` what became of the complete ones.
        """
        scores, place = self._scores(program, stack, called)
        complete = [t for t, turn in enumerate(turns) if turn.complete]
        for t, end in zip(complete, ended, strict=True):
            if not self.complete:
                self._compare(t, turns[t], scores, scored[t], end, place)
                self._seen += 1

    def decide(self, program: Program, apart: dict[str, Sample]) -> Decision:
        """Judge by what was seen, and by the rows kept apart."""
        flagged, still = self.flags(program, apart)
        rows, error, before, flags, flags_before = self._counts
        seen = Seen(rows, error, before, flags, flags_before, flagged.astype(np.float64), still.astype(np.float64))
        return decide(seen, self._members() >= 0, self._target)

    def calibrated(self, chosen: Int64) -> Version:
        """Return the candidate of some of its slots, with the calibration that it has come to."""
        return replace(self.version.part(chosen), sketches=self._sketches[chosen])

    def flags(self, program: Program, samples: dict[str, Sample]) -> tuple[Int64, Int64]:
        """Return of each slot's sampled rows how many the model clearly flags, and how many of those the candidate."""
        members, entities = self._members(), self.version.entities
        known = [i for i, entity in enumerate(entities) if members[i] >= 0 and entity in samples]
        flagged, still = np.zeros(len(self.version), np.int64), np.zeros(len(self.version), np.int64)
        if not known:
            return flagged, still
        sampled = [samples[entities[i]].rows for i in known]
        place, rows = np.repeat(known, [len(each) for each in sampled]), np.concatenate(sampled)
        for start in range(0, len(rows), self._bank.shape.rows):
            part = slice(start, start + self._bank.shape.rows)
            was, now = self._flag(program, rows[part], members[place[part]], place[part])
            flagged += np.bincount(place[part][was], minlength=len(flagged))
            still += np.bincount(place[part][was & now], minlength=len(flagged))
        return flagged, still

    def rates(self, place: int, distances: Float32) -> Float64:
        """Return the rates of distances [n] from the candidate of its slot number `place`, each for itself."""
        sketches = np.repeat(self._sketches[place][None], len(distances), axis=0)
        return self._judging.alone(distances, sketches)

    def _members(self) -> Int64:
        """Return the slot of each entity of the candidate [n], -1 where it is not in memory or has no centroids."""
        resident = self._slots.resident
        slots = np.array([resident.get(entity, -1) for entity in self.version.entities], np.int64)
        return np.where((slots >= 0) & ~self._bank.unseeded(slots), slots, -1)

    def _scores(self, program: Program, stack: Stack, called: Int64) -> tuple[StackScores, Int64]:
        """Return what the candidate says of each row, and the candidate's place for each slot, -1 = none."""
        members, place = self._members(), np.full(self._bank.capacity, -1, np.int64)
        known = np.flatnonzero(members >= 0)
        place[members[known]] = known
        states = self._bank.gather(called, stack.frame)
        mine = np.flatnonzero(place[called] >= 0)
        self.version.overlay(states, mine, place[called[mine]])
        scores, _ = program(stack._replace(learns=np.zeros_like(stack.learns)), states)
        return scores, place

    def _compare(  # noqa: PLR0913, PLR0917 - a turn, and what candidate and model say of it
        self, t: int, turn: Turn, scores: StackScores, scored: Scored, ended: Ended, place_of: Int64
    ) -> None:
        """Follow one complete block: the candidate's calibration, and once that has settled the counts."""
        block, judging, n = turn.block, self._judging, len(turn.block)
        mine = np.flatnonzero(scored.warm & ~np.isnan(scores.distance[t, :n]))
        mine = mine[place_of[block.slots[mine]] >= 0]
        slots, place = block.slots[mine], place_of[block.slots[mine]]
        counted = judging.counted(turn, scores.distance[t, :n], scores.parts[t, :n], scores.expected[t, :n])
        alone, smoothed = scores.distance[t, mine].astype(np.float64), counted[0][mine]
        if len(judging.alphas):
            smoothed = smooth_by_all(smoothed[:, None], place, self._smoothed, judging.alphas)[:, 0]
        own = self._sketches[place, 0]
        at = scaled(judging.related(scored, mine, slots, smoothed, own), own)
        rates = judging.reference.rates(at)
        if self._seen >= _SETTLING * self._blocks:
            self._count(block.rows[mine], slots, place, rates, scored.rates[mine])
        far = judging.too_far(at, rates, scored.least_rate)
        sound = ended.able[mine] & ~ended.faulty[mine]
        for which, each, follows in ((0, smoothed, sound), (1, alone, sound & ended.learned[mine])):
            follow_sketches(self._sketches[:, which], place[follows], each[follows], far[follows])
        over = place_of[block.slots[ended.over]]
        self._smoothed[over[over >= 0]] = self._smoothed[over[over >= 0], :1]

    def _count(self, rows: Float32, slots: Int64, place: Int64, rates: Float64, before: Float64) -> None:
        bank, version = self._bank, self.version
        means, variances = bank.means[slots], bank.variances[slots]
        z, members = standardised(rows, means, variances), bank.shape.members

        def errors(centroids: Float32, masses: Float32) -> Float64:
            return _errors(z, standardised(centroids, means[:, None], variances[:, None]), masses, members)

        normal = before > self._target
        error = np.where(normal, errors(version.centroids[place], version.masses[place]), 0.0)
        error_before = np.where(normal, errors(bank.centroids[slots], bank.masses[slots]), 0.0)
        values = (normal, error, error_before, rates <= self._target, ~normal)
        self._counts += [np.bincount(place, value, len(version)) for value in values]

    def _flag(self, program: Program, rows: Float32, slots: Int64, place: Int64) -> tuple[Bool, Bool]:
        """Tell which rows [n] of some slots, one block at most, the model clearly flags, and which the candidate."""
        n = len(rows)
        block = Block(0, rows, slots, np.ones(n, np.bool_), 0.0)
        stack, called = assemble([Turn(block, 0, 0, complete=False)], self._bank.shape, self._bank.modes)
        model, _ = program(stack, self._bank.gather(called, stack.frame))
        mine, _ = self._scores(program, stack, called)
        was = self._judging.alone(model.distance[0, :n], self._bank.sketches[slots]) <= _CLEARLY * self._target
        now = self._judging.alone(mine.distance[0, :n], self._sketches[place]) <= self._target
        return was, now


def _errors(z: Float64, centroids: Float64, masses: Float32, members: int) -> Float64:
    """Return the squared distance of rows z [n, D] to the nearest of their centroids [n, C, D], a mean over members."""
    squares = np.where(masses > 0, ((z[:, None] - centroids) ** 2).sum(2), np.inf)
    errors: Float64 = squares.reshape(len(z), members, -1).min(2).mean(1)
    return errors
