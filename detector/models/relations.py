"""Relations: a second view of a row, by what the other features foretell of each, and by how long it has stood still.

A value that its feature often has, but not together with the others, a sensor that repeats itself while all around it
moves, a leak within the range of the day: they lie near a centroid. With z the row in standard deviations of its slot
and P the inverse of z's correlations,

    e_d = (P z)_d / sqrt(P_dd)        what is left of z_d where the others have foretold it (Lauritzen, 1996, 5.1.3)
    q_d                               twice the surprise of its repeats beyond the longest usual run (`repeats`), 100
                                      at most
    distance^2 = D / observed * sum over observed features of [min(|e_d|, 10)^2 + ln^2(max(|e_d|, 10) / 10) + q_d]

What is missing is taken as the mean. All of it changes at block boundaries only: co-moments with each block, P whenever
enough rows are new. No sum goes through BLAS, whose bits depend on the processor and on the number of rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.models import pace
from detector.models.blocks import Block
from detector.models.relations_state import Related
from detector.models.repeats import runs, surprise
from detector.models.scale import CLIP
from detector.models.shape import Rules
from detector.types import Bool, Float32, Float64, Int64

_FIRST, _FIRST_A_FEATURE = 64, 8
"""Rows before the first inverse: of fewer, that of their correlations is noise."""
_PRIOR_A_FEATURE = 2.0
"""Rows that speak for no relation at all."""
_RIDGE = 0.01
"""Share of a feature's variance that nothing foretells, at least: else a copy of another would weigh without bound."""
_MOST = CLIP * CLIP
"""What a repeated value adds to a squared distance, at most: as much as a feature ten standard deviations out."""
_ENOUGH = 256.0
"""Rows whose distances a slot must know before they count."""
_USUAL = 9.0
"""What an ordinary run adds at most: as much as three standard deviations."""
_STAGES = np.unique((8 * 1.125 ** np.arange(64)).astype(np.int64))
_STAGES = _STAGES[_STAGES <= 4096]
_STAGE = 512
"""The inverse is made anew with an eighth more rows, and then with so many."""


class Relations:
    """The relations of a bank's slots, whose `states` [S] are records of `relations_state.state_of`."""

    def __init__(self, features: int, rules: Rules) -> None:
        self._features = features
        self.rules = rules
        self._upper = np.triu_indices(features)
        self._full = np.zeros((features, features), np.int64)
        self._full[self._upper] = self._full.T[self._upper] = np.arange(len(self._upper[0]))
        self._first = max(_FIRST, _FIRST_A_FEATURE * features)

    def judge(self, states: NDArray[np.void], block: Block) -> Related:
        """Judge all rows [n, D] of a block so far, by what was known before it."""
        slots, rows = block.slots, block.rows
        order = np.argsort(slots, kind="stable")
        run = np.empty(rows.shape, np.float32)
        ordered = slots[order]
        run[order] = runs(rows[order], ordered, states["last"][ordered], states["run"][ordered])
        if len(slots) and slots.min() == slots.max():
            slots = slots[:1]  # the same for all rows
        scale = states["scale"][slots]
        if not (scale[:, 0] > 0).any():
            nothing = np.zeros(rows.shape, np.float32)
            return Related(np.full(len(rows), np.nan), nothing, nothing, run)
        return self._judge(states, slots, rows, run)

    def _judge(self, states: NDArray[np.void], slots: Int64, rows: Float32, run: Float32) -> Related:
        """Judge rows [n, D] of slots [n], or all of one slot [1]."""
        scale, center = states["scale"][slots], states["center"][slots]
        known = scale[:, 0] > 0
        scale = np.where(known[:, None], scale, 1.0)
        inverse = states["inverse"][slots].astype(np.float64)[:, self._full]
        x, seen = rows.astype(np.float64), np.isfinite(rows)
        z = np.clip(np.where(seen, (x - center) / scale, 0.0), -CLIP, CLIP)
        foretold: Float64 = (inverse * z[:, :, None]).sum(1)
        diagonal = np.where(known[:, None], inverse.diagonal(axis1=1, axis2=2), 1.0)
        left = np.abs(foretold) / np.sqrt(diagonal)
        core, beyond = np.minimum(left, CLIP), np.log(np.maximum(left, CLIP) / CLIP)
        parts = np.where(seen, core * core + beyond * beyond + self._stillness(states, slots, run), 0.0)
        squares = parts.sum(1) * (self._features / np.maximum(seen.sum(1), 1))
        expected = (np.where(seen, x, center) - scale * foretold / diagonal).astype(np.float32)
        return Related(np.where(known, np.sqrt(squares), np.nan), parts.astype(np.float32), expected, run)

    def count(self, states: NDArray[np.void], slots: Int64) -> Bool:
        """Tell of which slots [n] the view counts: it takes what has held for `promote_after` to call it a relation.

        What was seen of a morning holds in the evening only by chance.
        """
        own = states[slots]
        lasting: Bool = own["time"] - own["since"] >= self.rules.promote_after
        return lasting & (own["sketch"][:, 2] >= _ENOUGH)

    # --- at block boundaries

    def learn(  # noqa: PLR0913 - a block, and which of its rows are what
        self,
        states: NDArray[np.void],
        block: Block,
        related: Related,
        *,
        able: Bool,
        learned: Bool,
        unusual: Bool,
        interval: Float64,
    ) -> Bool:
        """Follow a complete block: its last values, its repeats, and the relations of the rows that may be learned.

        `able` [n] are those whose slots may learn at all, `learned` those within the learning gate, and `unusual` those
        that were anomalous or within an incident: they are not learned, unless that is what is normal now. Returns
        which [n] are unusual and learned all the same. `interval` [n] is the usual one of their slots (see `pace`).
        """
        promoted = self._promoted(states, block, able & unusual, interval)
        placed = np.flatnonzero(able)
        if len(placed):
            order = placed[np.argsort(block.slots[placed], kind="stable")]
            self._count(states, block.slots[order], related.runs[order], unusual[order], promoted[order])
            ends = order[np.append(block.slots[order][1:] != block.slots[order][:-1], True)]
            states["last"][block.slots[ends]] = block.rows[ends]
            states["run"][block.slots[ends]] = related.runs[ends]
            order = order[(learned & (promoted | ~unusual))[order]]
            if len(order):
                self._learn(states, block.slots[order], block.rows[order].astype(np.float64), block.time)
        return promoted

    def _promoted(self, states: NDArray[np.void], block: Block, unusual: Bool, interval: Float64) -> Bool:
        """Tell which unusual rows [n] are what is normal now, or what is every night.

        They are once there were enough of them over at least `promote_after`, and never none for so long.
        """
        if not unusual.any():
            return unusual
        rules, slots = self.rules, block.slots
        present, rows = np.unique(slots[unusual], return_counts=True)
        own = states[present]
        anew = (own["unusual"] == 0) | (block.time - own["unusual_until"] >= rules.promote_after)
        own["unusual"] = np.where(anew, 0, own["unusual"]) + rows
        own["unusual_since"] = np.where(anew, block.time, own["unusual_since"])
        own["unusual_until"] = block.time
        states[present] = own
        lasting = block.time - states["unusual_since"][slots] >= rules.promote_after
        promoted: Bool = unusual & lasting & (states["unusual"][slots] >= pace.enough(rules, interval))
        return promoted

    def _count(self, states: NDArray[np.void], slots: Int64, run: Float32, unusual: Bool, promoted: Bool) -> None:
        """Count the repeats of rows [n, D] in order of their slots [n], and keep how long runs are at most.

        A run that is out of the ordinary is counted when it is over: while it lasts it is to be told, not learned. Of a
        young slot, and of rows that are promoted, all are counted as they come. A run that ends within an incident is
        not how long they usually are: a sensor that was stuck may be so again.
        """
        starts = np.flatnonzero(np.append(True, slots[1:] != slots[:-1]))
        before = np.empty_like(run)
        before[1:] = run[:-1]
        before[starts] = states["run"][slots[starts]]
        young = (states["scale"][slots, 0] == 0)[:, None]
        as_they_come = (run > 0) & (young | promoted[:, None] | (self._stillness(states, slots, run) < _USUAL))
        over = (run == 0) & (before > 0) & ~young & (self._stillness(states, slots, before) >= _USUAL)
        ended = np.where((run == 0) & ~unusual[:, None], before, 0.0)
        longest = np.maximum.reduceat(np.where(young | promoted[:, None], run, ended), starts)
        states["longest"][slots[starts]] = np.maximum(states["longest"][slots[starts]], longest)
        repeats, begun = as_they_come + before * over, (as_they_come & (run == 1)) | over
        states["repeats"][slots[starts]] += np.add.reduceat(np.stack([repeats, begun], 1).astype(np.float64), starts)

    def _stillness(self, states: NDArray[np.void], slots: Int64, run: Float32) -> Float64:
        """Return what runs [n, D] add to a squared distance: what is longer than they were at most surprises."""
        repeats = states["repeats"][slots].astype(np.float64)
        longer = np.ceil(np.maximum(run.astype(np.float64) - states["longest"][slots], 0.0))
        still = surprise(longer, states["weight"][slots][:, None], repeats[:, 0], repeats[:, 1])
        return np.minimum(2.0 * still, _MOST)

    def _learn(self, states: NDArray[np.void], slots: Int64, x: Float64, time: float) -> None:
        """Learn rows [n, D] in order of their slots [n]."""
        starts = np.flatnonzero(np.append(True, slots[1:] != slots[:-1]))
        own = states[slots[starts]]
        n = np.diff(np.append(starts, len(slots)))
        self._begin(own, x, np.repeat(np.arange(len(n)), n))
        offset, reach = x - np.repeat(own["mean"], n, axis=0), np.repeat(CLIP * own["scale"], n, axis=0)
        offset[np.isnan(offset)] = 0.0
        offset = np.where(reach > 0, np.minimum(np.maximum(offset, -reach), reach), offset)
        total = np.add.reduceat(offset, starts)
        squares = np.add.reduceat(offset[:, self._upper[0]] * offset[:, self._upper[1]], starts)
        kept = own["weight"] * self._fading(n, time - own["time"])
        weight = kept + n
        shift = total / weight[:, None]
        own["moments"] = (kept[:, None] * own["moments"] + squares) / weight[:, None]
        own["moments"] -= shift[:, self._upper[0]] * shift[:, self._upper[1]]
        own["mean"] += shift
        fading = kept / np.maximum(own["weight"], 1.0)
        fading = np.where(own["weight"] > 0, fading, 1.0)[:, None]
        own["longest"] *= fading
        own["repeats"] *= fading[:, :, None]
        own["since"] = np.where(own["rows"] > 0, own["since"], time)
        own["weight"], own["time"] = weight, time
        before = own["rows"].copy()
        own["rows"] += n
        stage, before = (
            np.searchsorted(_STAGES, rows, side="right") + np.maximum(rows - _STAGES[-1], 0) // _STAGE
            for rows in (own["rows"], before)
        )
        due = (stage != before) & (own["rows"] >= self._first)
        if due.any():
            own[due] = self._inverted(own[due])
        states[slots[starts]] = own

    def _begin(self, own: NDArray[np.void], x: Float64, group: Int64) -> None:
        """Give each feature never seen the first value observed as its mean: about 0, large ones would cancel."""
        row, feature = np.nonzero(np.isnan(own["mean"])[group] & np.isfinite(x))
        if len(row):
            row, feature = row[::-1], feature[::-1]  # of several for one place the last assigned stays: the first
            own["mean"][group[row], feature] = x[row, feature]

    def _fading(self, n: Int64, passed: Float64) -> Float64:
        """Return what is left of what was known before n rows and so many seconds: the faster of the two."""
        half_lives = np.zeros(len(n))
        if self.rules.half_life_events is not None:
            half_lives = np.maximum(half_lives, n / self.rules.half_life_events)
        if self.rules.half_life_time is not None:
            half_lives = np.maximum(half_lives, np.maximum(passed, 0.0) / self.rules.half_life_time)
        left: Float64 = 2.0**-half_lives
        return left

    def _inverted(self, own: NDArray[np.void]) -> NDArray[np.void]:
        """Return the states [S] with the inverse of their correlations made anew."""
        every, d = np.arange(self._features), self._features
        moments, weight = own["moments"][:, self._full], own["weight"][:, None, None]
        own["center"] = np.nan_to_num(own["mean"])
        variance = np.maximum(moments[:, every, every], 0.0)
        own["scale"] = scale = np.sqrt(variance) + 0.01 * np.abs(own["center"]) + 1e-9
        related = moments / (scale[:, :, None] * scale[:, None, :])
        related *= weight / (weight + _PRIOR_A_FEATURE * d)
        related[:, every, every] = 1.0 + _RIDGE
        own["inverse"] = inverted(related)[:, self._upper[0], self._upper[1]]
        return own


def inverted(matrices: Float64) -> Float64:
    """Invert positive definite matrices [S, D, D], by Gauss and Jordan's steps: no pivot is needed."""
    made = matrices.copy()
    for k in range(made.shape[1]):
        pivot = made[:, k, k].copy()
        row = made[:, k] / pivot[:, None]
        column = made[:, :, k].copy()
        column[:, k] = 0.0
        made -= column[:, :, None] * row[:, None, :]
        made[:, :, k] = -column / pivot[:, None]
        made[:, k] = row
        made[:, k, k] = 1.0 / pivot
    return made
