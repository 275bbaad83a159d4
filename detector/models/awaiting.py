"""How long each entity is waited for: a deadline per slot, from its longest pause of late.

With g_j the pauses between the rows of a slot, t_j their ends and h = `known_for` (all in event time of the partition):

    longest = max_j g_j 2^(-(t - t_j) / h)           kept as the one number max_j (log2 g_j + t_j / h)
    deadline = t + max(factor longest, at_least)     at the last row t; none before the entity is known for h

The maximum suits a machine that reports every ten seconds, a nightly job, whose usual pause is milliseconds and whose
longest is a day, and one that reports at random: among n random pauses the longest is about ln n times the mean, and a
pause of twice that comes once in n^2. It fades, so that an outage is forgotten. A pause beyond the deadline counts as
if it had ended there: an outage of a day must not make the next one go unnoticed, and an entity that has become slower
is waited for longer each time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detector.config.detection import Detection
from detector.models.bank import Bank
from detector.types import Float64, Int64


class Waits(NamedTuple):
    """How long is waited, in seconds of event time (see `config.absence.Absence`)."""

    known_for: float
    factor: float
    at_least: float

    @classmethod
    def of(cls, detection: Detection) -> Waits:
        """Take them from a configuration. A pause within a block is shorter than a tick, and never an absence."""
        absence = detection.absence
        return cls(absence.known_for, absence.factor, max(absence.at_least, detection.blocks.tick))


def meet(bank: Bank, slots: Int64, times: Float64, waits: Waits) -> tuple[Int64, Float64]:
    """Advance pauses and deadlines by rows [n] of one block, in log order; returns (first row, old deadline) of slots.

    Called before the slots' `last_seen` is. The rows are numbered as given, a slot each; the old deadline of one that
    was never seen is infinite.

    slots  int64   [n]  slots of the rows
    times  float64 [n]  event time of the partition behind each
    """
    order = np.argsort(slots, kind="stable")
    ordered, at = slots[order], times[order]
    first = np.ones(len(slots), np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    starts = np.flatnonzero(first)
    present, ends = ordered[starts], np.append(starts[1:], len(slots)) - 1
    seen, deadline = bank.last_seen[present], bank.awaited[present].copy()
    new = ~np.isfinite(seen)
    bank.first_seen[present[new]] = at[starts[new]]
    before = np.empty(len(slots))
    before[1:] = at[:-1]
    before[starts] = np.where(new, at[starts], seen)
    pause = at - before
    pause[starts] = np.minimum(pause[starts], deadline - before[starts])
    with np.errstate(divide="ignore"):  # rows at one time have no pause between them
        keys = np.log2(pause) + at / waits.known_for
    bank.pause[present] = np.maximum(np.maximum.reduceat(keys, starts), bank.pause[present])
    last = at[ends]
    longest = np.exp2(bank.pause[present] - last / waits.known_for)
    known = last - bank.first_seen[present] >= waits.known_for
    bank.awaited[present] = np.where(known, last + np.maximum(waits.factor * longest, waits.at_least), np.inf)
    return order[starts], deadline
