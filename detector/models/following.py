"""Following: how the running state advances by the new rows of a block, each once and in log order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from detector.features.grouping import Grouped
from detector.models.notable import Turned
from detector.models.parts import Parts
from detector.models.progress import UNSCORED, Anomaly, Tally, Transition
from detector.models.scored import Scored
from detector.models.seen import Seen
from detector.models.slots import NOWHERE
from detector.models.stacking import Turn
from detector.types import Bool, Float64, Phase, Rows


def follow(  # noqa: PLR0913 - what there is of the new rows, and where it is told
    model: Parts, turn: Turn, scored: Scored, *, rows: Rows, times: Float64, tally: Tally
) -> None:
    """Advance the running state by the turn's new rows, and tell what they are."""
    before = turn.scored - turn.first
    new, here = slice(before, None), slice(turn.start, turn.end)
    rates, slots = scored.rates[new], turn.block.slots[turn.scored :]
    tally.distance[here], tally.rates[here] = scored.distance[new], rates
    tally.smoothed[here] = scored.seen.distance[new]
    if not len(rates):
        return
    rate = model.budget.rate
    offsets, numbers, own_times = rows.offsets[here], rows.rows[here], rows.times[here]
    placed = slots != NOWHERE
    by_slot = Grouped.of(*((slots, own_times) if placed.all() else (slots[placed], own_times[placed])))
    since = model.judging.drifting(turn, scored, own_times, by_slot)
    observed = tally.observed  # as the tally keeps `describe`, which must not keep the tally: a cycle at each call

    def describe(i: int) -> Anomaly:
        return scored.anomaly(
            before + i,
            turn.start + i,
            since=float(since[i]),
            observed=observed[turn.start + i],
            threshold=model.budget.threshold,
            version=model.model_version,
            block=turn.block.number,
        )

    tally.rarest(rates, describe)
    judged = scored.warm[new] & (rates <= 1.0)
    ready = model.ready
    flagged = judged & (rates <= rate) & ready
    critical = model.incidents.rules.critical * rate
    # A rate so small may be beyond what the reference supports: then its tail, as it goes on, tells the gravest.
    grave = judged & ((rates <= critical) | (scored.at.values[new] >= model.reference.extrapolated(critical)))
    seen = Seen(
        slots,
        offsets,
        numbers,
        own_times,
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
        rows.labels,
    )
    if not turn.scored:
        tally.transitions += model.incidents.begin_block(seen) + model.absences.begin_block(seen.first)
    fresh = int(np.count_nonzero(np.isinf(model.bank.last_seen[by_slot.slots])))
    back = model.absences.follow(seen, placed, by_slot)
    model.bank.last_seen[slots[placed]] = seen.partition_times[placed]
    transitions, faulty, made = model.incidents.follow(seen)
    model.notable.saw(
        Turned(
            turn,
            scored,
            flagged,
            since,
            _alone(model, turn, scored),
            made,
            model.budget.threshold,
            ready=ready,
            version=model.model_version,
            by=model.known.ids,
        )
    )
    tally.transitions += sorted(back + transitions, key=lambda happened: happened.position)
    numbers_flagged = np.flatnonzero(flagged)
    tally.flagged += (turn.start + numbers_flagged).tolist()
    tally.critical += int(np.count_nonzero(seen.grave[numbers_flagged]))
    if model.incidents.suppressed:
        tally.suppressed, model.incidents.suppressed = tally.suppressed + model.incidents.suppressed, Counter()
    model.faulty = np.concatenate([model.faulty, faulty])
    model.over = np.concatenate([model.over, _over(transitions, turn.start, len(rates))])
    opened = sum(happened.phase is Phase.OPEN for happened in transitions)
    could = int(np.count_nonzero(judged)) if ready and rate >= scored.least_rate else 0
    model.budget.saw(
        exceedances=_by_chance(model, transitions),
        incidents=opened,
        entities=fresh,
        judged=could,
        flagged=len(numbers_flagged),
    )


def _by_chance(model: Parts, transitions: Sequence[Transition]) -> int:
    """Count the anomalous rows of the incidents that are over, one of each that was no chance.

    How many rows an incident has by chance is what a budget goes by: those of faults would multiply the rate.
    """
    most = model.incidents.rules.fault_count + 1
    counts = [happened.count for happened in transitions if happened.phase is Phase.RESOLVE]
    return sum(count if count <= most else 1 for count in counts)


def _over(transitions: Sequence[Transition], start: int, n: int) -> Bool:
    """Tell with which of the n rows from number `start` on an incident of their slot resolved."""
    over = np.zeros(n, np.bool_)
    if transitions:
        over[[t.anomaly.row - start for t in transitions if t.anomaly is not None and t.phase is Phase.RESOLVE]] = True
    return over


def _alone(model: Parts, turn: Turn, scored: Scored) -> Float64 | None:
    """Return the rates that the turn's new rows [n] would have but for what spared some, if anything did."""
    if scored.spared is None:
        return None
    new = slice(turn.scored - turn.first, None)
    alone = model.judging.alone(scored.distance[new], model.bank.sketches[turn.block.slots[turn.scored :]])
    return np.where(scored.spared[new] == -1, UNSCORED, alone)
