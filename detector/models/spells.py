"""Spells: rows far out one after another, held back from the reference until it is known what they are.

What relations leave of a row does not wander as a distance does: a healthy slot is far out for a moment, a broken one
for as long as it is broken. The first rows of each fault would fill the tail of the reference before anybody can call
them faulty, and the next fault would hide behind it: with one host in fifteen broken at any time, thresholds stood
where half of the faults are. So a row far out waits for the end of its spell. A short spell is chance, and is counted
as it is; a longer one is a fault, and none of it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.types import Bool, Int64

MOST = 32
"""Rows that can wait, at most."""


def state_of() -> np.dtype[Any]:
    """Return what a slot keeps: length of its spell, and the bins of its rows, `waiting` of them; all zero = none."""
    return np.dtype([("length", np.int32), ("waiting", np.int32), ("bins", np.int16, (MOST,))])


def hold(  # noqa: PLR0913 - rows of a block, and what is known of each
    states: NDArray[np.void], slots: Int64, bins: Int64, *, far: Bool, counted: Bool, judged: Bool, longest: int
) -> tuple[Bool, list[int]]:
    """Return which rows [n] are counted at once, and the bins of those whose spells have ended by chance.

    `far` [n] are out so far, `counted` [n] would be counted; all that are `judged` [n] go on with a spell or end it. A
    spell of more than `longest` rows is no chance.
    """
    at_once, ended = counted & ~far, list[int]()
    stirring = judged & (far | (states["length"][slots] > 0))
    if not stirring.any():
        return at_once, ended
    # A slot that has a spell may end it with rows behind those that stir.
    for slot in np.unique(slots[stirring]).tolist():
        state = states[slot]
        for row in np.flatnonzero(judged & (slots == slot)).tolist():
            if far[row]:
                state["length"] += 1
                if counted[row] and state["waiting"] < MOST:
                    state["bins"][state["waiting"]] = bins[row]
                    state["waiting"] += 1
            elif state["length"]:
                if state["length"] <= longest:
                    ended += state["bins"][: state["waiting"]].tolist()
                state["length"], state["waiting"], state["bins"] = 0, 0, 0
    return at_once, ended
