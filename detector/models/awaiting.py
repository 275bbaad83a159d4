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
from detector.features.grouping import Grouped
from detector.models.bank import Bank
from detector.types import Float64, Int64

_NO_PAUSE = 1e-300
"""Rows at one time have no pause between them; this is the least of all, and has a logarithm."""
_LONGEST = 33.0
"""log2 of a pause that nobody makes, of centuries: a key that says so was kept by another `known_for`."""


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


def meet(bank: Bank, rows: Grouped, times: Float64, waits: Waits) -> tuple[Int64, Float64]:
    """Advance pauses and deadlines by rows [n] of one block, in log order; returns (first row, old deadline) of slots.

    Called before the slots' `last_seen` is. The rows are numbered as given, a slot each; the old deadline of one that
    was never seen is infinite. `times` float64 [n] is the event time of the partition behind each row.
    """
    at, starts, present = times[rows.order], rows.first, rows.slots
    seen, deadline, begin = bank.last_seen[present], bank.awaited[present], at[starts]
    new = ~np.isfinite(seen)
    if new.any():
        bank.first_seen[present[new]] = begin[new]
    before = np.empty(len(at))
    before[1:] = at[:-1]
    before[starts] = np.where(new, begin, seen)
    pause = at - before
    pause[starts] = np.minimum(pause[starts], deadline - before[starts])
    keys = np.log2(np.maximum(pause, _NO_PAUSE)) + at / waits.known_for
    kept = bank.pause[present]
    kept = np.where(kept - begin / waits.known_for < _LONGEST, kept, -np.inf)
    longest = bank.pause[present] = np.maximum(np.maximum.reduceat(keys, starts), kept)
    last = at[rows.last]
    known = last - bank.first_seen[present] >= waits.known_for
    wait = np.maximum(waits.factor * np.exp2(longest - last / waits.known_for), waits.at_least)
    bank.awaited[present] = np.where(known, last + wait, np.inf)
    return rows.order[starts], deadline
