"""The boundary behind a complete block: what the program does not keep of its rows, and what is due there."""

from __future__ import annotations

import math

import numpy as np

from detector.models import echoes, habit, pace
from detector.models.blocks import Block
from detector.models.ended import Ended
from detector.models.learning import FREEZE
from detector.models.parts import Parts
from detector.models.scored import Scored
from detector.models.stacking import Turn, distinct
from detector.types import Reason


def complete(model: Parts, turn: Turn, scored: Scored) -> None:
    """Follow a complete block: what the program does not keep, and what is due at this boundary."""
    block, bank = turn.block, model.bank
    barred = model.known.barred_of(block)
    able = block.usable & (bank.modes[block.slots] != FREEZE) & ~barred
    gates = bank.gates[block.slots]
    gated = able & (gates > 0) & (scored.distance > gates)
    faulty, gating = model.faulty, model.judging.gating
    by_itself = model.judging.by_itself(block, scored)
    lone = able & ~faulty & gating.holds(by_itself.values)
    if len(model.judging.alphas):
        faulty = faulty | echoes.follow(bank.echoing, block.slots, by_itself.values >= gating.strays)
    held = habit.follow(bank, block.slots, able, faulty, promote_after=model.detection.model.promote_after)
    ended = Ended(able, gated, barred, block.usable, *held, lone, model.over)
    learned = ended.learned
    model.notable.ended(block.number, ended)
    model.beside.ended(block, scored, ended, model.budget.rate)
    model.judging.learn(block, scored, ended, by_itself)
    model.judging.over(block.slots[model.over])
    model.faulty = model.over = np.zeros(0, np.bool_)
    model.budget.learn(int(block.usable.sum()), block.time, supported=model.reference.least_rate)
    model.judging.rate = model.budget.rate
    if gated.any():
        model.quarantine.add(block.slots[gated], block.rows[gated], block.time)
    placed = block.slots >= 0
    present, group = distinct(block.slots[placed], bank.capacity)
    bank.rows_learned[present] += np.bincount(group[learned[placed]], minlength=len(present))
    pace.follow(bank, present, np.bincount(group, minlength=len(present)))
    model.open = Block.empty(block.number + 1, model.shape.features, block.time)
    if bank.pool.used:
        slots = block.slots[learned]
        gathering = bank.unseeded(slots)
        bank.pool.append(bank.seeds[slots[gathering]], block.rows[learned][gathering])
        model.planting.seed(present)
    if block.time >= model.known.ends:
        model.known.expire(block.time)
    if not math.isfinite(model.upkeep.at):
        model.upkeep.at = block.time
    if model.upkeep.is_due(model.open.number, block.time):
        model.upkeep.fall_due(model.open.number, block.time)
        _forget(model, block.time - model.detection.entities.forget_after)


def _forget(model: Parts, before: float) -> None:
    stale = model.slots.stale(before)
    model.copying.before_change(stale)
    model.incidents.end(stale.tolist(), Reason.FORGOTTEN)
    forgotten = model.slots.forget(before)
    model.budget.saw(entities=-len(forgotten))
    model.copying.forgotten += forgotten
    model.copying.released(stale)
