"""Judging: from the distances of a turn to smoothed scores and rates, and what at block boundaries follows from them.

d -> s = mean of the members' d (the program's distance) -> without what filters leave out -> or the distance from what
its other features foretell, where that is the more surprising -> e = causal mean over the slot's rows -> rate of e. The
references and the slots' sketches learn what may count as normal; the learning gate goes by s, alerts go by e.
"""

from __future__ import annotations

import math

import numpy as np

from detector.config.detection import Detection
from detector.features.grouping import Grouped
from detector.features.smoothing import smooth_by_all, weights
from detector.models import drift, pending
from detector.models.bank import Bank
from detector.models.blocks import Block
from detector.models.calibration import FAR, bounded, common, exceeded, followed, scaled
from detector.models.ended import Ended
from detector.models.filtering import Filters, filtered
from detector.models.habit import Few
from detector.models.incident_rules import Rules
from detector.models.known import Known
from detector.models.learning import QUARANTINE
from detector.models.program import StackScores
from detector.models.progress import UNSCORED
from detector.models.reference import Placed, Reference
from detector.models.relations import Relations
from detector.models.scored import FILTERED, Scored
from detector.models.shape import relates, rules_of
from detector.models.spells import hold
from detector.models.stacking import Turn, distinct
from detector.models.view import View, either, farther
from detector.types import Bool, Float32, Float64, Int64

_GATED = 1e-3
"""Rate of the scores that the learning gate is a multiple of."""
_GATE_ROWS = 500.0
"""Rows that a slot's sketch must know before it gates any, and before what is far out by it moves it no more."""
_LEAST_COUNTED = 1e-6
"""Nor do rows so rare, whatever the target: a budget may ask for less than a reference can tell."""
_OUTLYING = 0.01
"""Rows whose rate is under a hundredth of the target stay out of the reference, or one fault would hide the next."""


class Judging:
    """The references of a partition and the smoothed scores of its open block; its slots' sketches are the bank's.

    alphas         float64 [H] weights of a new score where scores are smoothed, else none
    reference      of smoothed scores: what alerts go by
    gating         of scores: what the learning gate goes by
    open_smoothed  float64 [n, V] smoothed scores of the open block's rows, of each view
    rate           the share of normal rows that may be flagged, from the last boundary on
    few            whether slots that had faults of late are few
    marks          float64 [3] what learning gates go by, on the references' scale, as of the last upkeep: `gating`'s
                   quantile of rate 1e-3 and its alert threshold, and the alert threshold of `reference`; inf = unknown
    """

    def __init__(self, bank: Bank, detection: Detection, known: Known | None = None) -> None:
        self._bank = bank
        self._known = known
        self._detection = detection
        self.alphas = smoothing_of(detection)
        self._filters = Filters.of(detection.events)
        self._relations = Relations(bank.shape.features, rules_of(detection)) if relates(detection) else None
        self.reference = Reference(detection.alerting.reference)
        self.gating = Reference(detection.alerting.reference)
        self._nothing = np.zeros((0, bank.views))
        self.open_smoothed = self._nothing
        self.marks = np.full(3, np.inf)
        self.rate, self.few = 1.0, Few()

    def configure(self, detection: Detection) -> None:
        """Go on by another configuration, of a model of the same form.

        With other filters scores are others, too: their reference begins anew.
        """
        filters = [feature.filter for feature in detection.events.features]
        if filters != [feature.filter for feature in self._detection.events.features]:
            self._filters, self.reference = Filters.of(detection.events), Reference(detection.alerting.reference)
        self._detection = detection
        self.alphas = smoothing_of(detection)
        if self._relations is not None:
            self._relations.rules = rules_of(detection)
        self.reference.half_life = self.gating.half_life = detection.alerting.reference

    def restore(self, smoothed: Float64, reference: Float64, gating: Float64, marks: Float64, beset: float) -> None:
        """Take up what a checkpoint holds: `open_smoothed`, the counts of the references, `marks` and `few`."""
        self.open_smoothed, self.marks, self.few = smoothed.reshape(-1, self._bank.views), marks, Few(beset)
        self.reference.restore(reference)
        self.gating.restore(gating)

    def judge(self, t: int, turn: Turn, scores: StackScores) -> Scored:
        """Smooth and calibrate the distances of turn number t."""
        slots, usable = turn.block.slots[turn.first :], turn.block.usable[turn.first :]
        n = len(slots)
        distance = scores.distance[t, :n]
        if not usable.all():
            distance = np.where(usable, distance, np.float32(np.nan))
        smoothed, shares, expected, spared = self.counted(turn, distance, scores.parts[t, :n], scores.expected[t, :n])
        views, related = [View(smoothed, shares, expected)], None
        if self._relations is not None:
            related = self._relations.judge(self._bank.relations, turn.block)
            view = related.view(turn.first, usable if spared is None else usable & (spared < 0))
            rows = turn.block.rows[turn.first :]
            views.append(view if self._filters is None else view.filtered(self._filters, rows))
        if len(self.alphas):
            views = self._smooth(turn, views)
        seen, sketches = views[0], self._bank.sketches[slots, 0]
        if self._relations is not None:
            states = self._bank.relations
            counts = self._relations.count(states, slots)
            seen = either(seen, views[1], sketches, states["sketch"][slots], counts)
        at = scaled(seen.distance, sketches)
        rates, unscored = self.reference.rates(at), np.isnan(distance)
        if unscored.any():
            rates[unscored] = UNSCORED
        known = self._bank.rows_learned[slots] >= self._detection.model.warm_up
        warm = usable & known & ~self._bank.unseeded(slots)
        least = self.reference.least_rate
        return Scored(t, scores, distance, views, spared, related, seen, at, rates, warm, least)

    def counted(
        self, turn: Turn, distance: Float32, shares: Float32, expected: Float32
    ) -> tuple[Float64, Float32, Float32, Int64 | None]:
        """Leave out of the distances of a turn what operators do not want to be told: what they approved, or filter."""
        slots, rows = turn.block.slots[turn.first :], turn.block.rows[turn.first :]
        smoothed, spared = distance.astype(np.float64), None
        if self._known is not None and (nearer := self._known.approve(slots, rows, distance, shares, expected)):
            smoothed, shares, expected, spared = nearer
        if self._filters is not None:
            smoothed, shares = filtered(smoothed, shares, self._filters.counting(rows, expected))
            less = smoothed < distance
            spared = np.where(less, FILTERED, -1) if spared is None else np.where(less & (spared < 0), FILTERED, spared)
        return smoothed, shares, expected, spared

    def related(self, scored: Scored, rows: Int64, slots: Int64, distance: Float64, sketches: Float64) -> Float64:
        """Return smoothed distances [m] as alerts go by them, by `sketches` [m, 3]: what relations see counts, too.

        They are another's than the model's, of the numbered `rows` [m] of a turn, whose slots are `slots` [m].
        """
        if self._relations is None:
            return distance
        states = self._bank.relations
        counts = self._relations.count(states, slots)
        return farther(distance, scored.views[1].distance[rows], sketches, states["sketch"][slots], counts)[1]

    def too_far(self, at: Placed, rates: Float64, least_rate: float) -> Bool:
        """Tell which rows are too far out to count as normal, by their places and rates [n] and the least supported."""
        rare: Bool = rates <= max(_OUTLYING * self.rate, _LEAST_COUNTED, least_rate)
        return rare | (at.values >= self.reference.strays)

    def _smooth(self, turn: Turn, views: list[View]) -> list[View]:
        """Advance the smoothed scores of the slots by the turn's new rows; returns those of all its rows, and shares.

        Shares are those of the smoothed squares: each row counts by how far out it is. (Smoothed shares would let a row
        that is hardly out of place count as much as one that is far out; shares weighted by distance named the three
        features to blame in 92 % of the cases, these in 98 %.) Those of rows scored before are not kept: nobody asks.
        """
        before, width = turn.scored - turn.first, 1 + self._bank.shape.features
        new = before + np.flatnonzero(~np.isnan(views[0].distance[before:]))
        values = np.concatenate([view.to_smooth(new) for view in views], 1)
        after = smooth_by_all(values, turn.block.slots[turn.first + new], self._bank.smoothed, self.alphas)
        return [
            view.smoothed(self.open_smoothed[:before, v], new, after[:, v * width : (v + 1) * width])
            for v, view in enumerate(views)
        ]

    def drifting(self, turn: Turn, scored: Scored, times: Float64, by_slot: Grouped) -> Float64:
        """Return since when the slot of each new row of a turn drifts [n], by the rows' event times [n]; NaN = not.

        `by_slot` groups the rows that have a slot.
        """
        slots, score = turn.block.slots[turn.scored :], scored.seen.distance[turn.scored - turn.first :]
        high = score > self._bank.sketches[slots, 0, 0]
        seen = ~np.isnan(score)
        if seen.all():
            return drift.follow(self._bank.since, by_slot, high)
        since = np.full(len(slots), np.nan)
        since[seen] = drift.follow(self._bank.since, Grouped.of(slots[seen], times[seen]), high[seen])
        return since

    @property
    def _apart(self) -> bool:
        """Whether scores that the gate goes by have a reference of their own: else they are those of alerts."""
        asked = len(self.alphas) > 0 or self._filters is not None or self._detection.model.gate is not None
        return asked or self._relations is not None

    def keep(self, scored: Scored) -> None:
        """Keep the smoothed scores of an open block's new rows."""
        new = np.column_stack([view.distance for view in scored.views])
        self.open_smoothed = np.concatenate([self.open_smoothed, new])

    def by_itself(self, block: Block, scored: Scored) -> Placed:
        """Find the places of a complete block's rows [n], each by itself, as the learning gate goes by them."""
        if not self._apart:
            return scored.at
        return scaled(scored.distance.astype(np.float64), self._bank.sketches[block.slots, 1])

    def learn(self, block: Block, scored: Scored, ended: Ended, by_itself: Placed) -> None:
        """Let the rows of a complete block that may count as normal into the references and the slots' sketches.

        Rows that are faulty stay out, and of the gate's reference those beyond it, too. So do those so far out that
        the reference supports no rate for them: of a young one it cannot be told whether it is under a hundredth of the
        target, and a few dozen such rows would hide the fault that they are of. The sketch of a slot that knows few
        rows follows them all the same: it may be wrong itself (see `bounded`). Strays behind a gap are let in all the
        same, and held apart. Anomalous rows of the few slots that had faults of late are not let in.
        """
        able, learned, faulty = ended.able, ended.learned, ended.faulty
        far = self.too_far(scored.at, scored.rates, scored.least_rate)
        sound = able & ~faulty & (scored.rates <= 1.0)
        normal = sound & ~far
        let_in, flagged = normal | (sound & self.reference.holds(scored.at.values)), scored.rates <= self.rate
        if self._detection.events.entity is not None:
            let_in &= ~self.few.left_out(ended.beset, flagged)
        self.reference.learn(self._let_in(block, scored, let_in & scored.warm, able))
        seeded = ~self._bank.unseeded(block.slots)
        self._follow(0, block, scored.views[0].distance, sound & seeded, far)
        if self._apart:
            distance, counted = scored.distance.astype(np.float64), normal & learned
            self.gating.learn(by_itself.bins[(counted | ended.lone) & scored.warm])
            self._follow(1, block, distance, sound & learned & seeded, far)
        if self._relations is not None and scored.related is not None:
            states, distance = self._bank.relations, scored.views[1].distance
            promoted = self._relations.learn(
                states,
                block,
                scored.related,
                able=able,
                learned=learned,
                unusual=faulty | flagged,
                interval=self._bank.interval[block.slots],
            )
            pending.follow(
                states,
                block.slots,
                np.where(counted | promoted, distance, np.nan),
                far=common(distance, states["sketch"][block.slots]) >= FAR,
                faulty=faulty,
                promoted=promoted,
            )
        self.open_smoothed = self._nothing

    def over(self, slots: Int64) -> None:
        """Go on, at a boundary, from the fastest of the smoothed scores of slots [n] whose incidents have resolved.

        What the slow ones remember of a fault that is over would raise the next wave above the threshold for hours.
        """
        if len(self.alphas):
            count, smoothed = len(self.alphas), self._bank.smoothed
            smoothed[slots] = np.tile(smoothed[slots, : smoothed.shape[1] // count], (1, count))

    def _let_in(self, block: Block, scored: Scored, counted: Bool, judged: Bool) -> Int64:
        """Return the bins that the reference learns of a block; with relations, not those that a fault begins with."""
        if self._relations is None:
            return scored.at.bins[counted]
        broken = scored.seen.distance > scored.views[0].distance
        at_once, ended = hold(
            self._bank.relations["spell"],
            block.slots,
            scored.at.bins,
            far=broken & (scored.at.values >= FAR),
            counted=counted,
            judged=judged,
            longest=int(Rules.of(self._detection).fault_count),
        )
        return np.concatenate([scored.at.bins[at_once], np.array(ended, np.int64)])

    def alone(self, distance: Float32, sketches: Float64) -> Float64:
        """Return the rates of distances [n] each for itself, by the sketches of their slots [n, 2, 3]: no smoothing."""
        reference, which = (self.gating, 1) if self._apart else (self.reference, 0)
        rates = reference.rates(scaled(distance.astype(np.float64), sketches[:, which]))
        return np.where(np.isnan(distance), UNSCORED, rates)

    def _follow(self, which: int, block: Block, scores: Float64, counted: Bool, far: Bool) -> None:
        follow_sketches(self._bank.sketches[:, which], block.slots[counted], scores[counted], far[counted])

    def mark(self) -> None:
        """Take the marks that the learning gates go by from now on."""
        gating, rate = self.gating if self._apart else self.reference, self.rate
        usual = gating.quantile(_GATED) if gating.total >= 1.0 / _GATED else math.inf
        self.marks = np.array([usual, gating.threshold(rate), self.reference.threshold(rate)])

    def set_gates(self, slots: Int64) -> None:
        """Set the learning gates of those slots [n] by the marks: never nearer than their alert threshold.

        The gate is `gate` times the quantile, where there is one; in quarantine it is where a row by itself would
        alert, if that is nearer.
        """
        bank, factor = self._bank, self._detection.model.gate
        own, alert = bank.sketches[slots, int(self._apart)], exceeded(self.marks[2], bank.sketches[slots, 0])
        usual = factor * exceeded(self.marks[0], own) if factor is not None else np.full(len(slots), np.inf)
        nearer = np.minimum(usual, exceeded(self.marks[1], own))
        gates = np.where(bank.modes[slots] == QUARANTINE, nearer, usual)
        gates = np.where(np.isfinite(alert), np.maximum(gates, alert), gates)
        known = (own[:, 2] >= _GATE_ROWS) & np.isfinite(gates)
        bank.gates[slots] = np.where(known, gates, 0.0)


def smoothing_of(detection: Detection) -> Float64:
    """Return the weights [H] of a new score where scores are smoothed, else none."""
    return weights(detection.model.smoothing or ())


def follow_sketches(sketches: Float64, slots: Int64, scores: Float64, far: Bool) -> None:
    """Let sketches [S, 3] follow scores [n] of rows of slots [n]; those `far` [n] out move young ones alone."""
    counted = ~far | (sketches[slots, 2] < _GATE_ROWS)
    slots, scores = slots[counted], scores[counted]
    present, group = distinct(slots, len(sketches))
    followable = bounded(scores, sketches[slots], far[counted])
    sketches[present] = followed(sketches[present], followable, group)
