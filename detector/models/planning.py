"""Planning: which of the rows to come make up one call of the program."""

from __future__ import annotations

from collections import deque
from itertools import islice

import numpy as np

from detector.models.blocks import Block, Cut, usable
from detector.models.incoming import Incoming
from detector.models.parts import Parts
from detector.models.shape import SMALL, STACK
from detector.models.slots import NOWHERE, WHOLE
from detector.models.stacking import SeedCount, Turn
from detector.types import Float64, Int64


def plan(model: Parts, pieces: deque[Cut], incoming: Incoming, times: Float64, most: int) -> list[Turn]:
    """Take from `pieces` what fits one call, `most` blocks at most: it ends before upkeep, and where slots seed."""
    room = _before_upkeep(model, pieces, times, min(STACK, model.upkeep.until_due(model.open.number), most))
    first, last = pieces[0].start, pieces[min(room, len(pieces)) - 1].end
    slots = _find(model, incoming.entities, first, last)
    incoming.see(slots, first)
    can = usable(incoming.rows[first:last], slots, model.transforms.features)
    seeds, called = SeedCount(model.bank), set[int]()
    block, turns = model.open, list[Turn]()
    if len(block) + pieces[0].end - pieces[0].start <= SMALL:
        room = 1
    while pieces and len(turns) < room:
        cut, scored = pieces[0], len(block)
        rows = slice(cut.start - first, cut.end - first)
        if cut.end > cut.start:
            time = float(times[cut.end - 1])
            block = block.extended(incoming.rows[cut.start : cut.end], slots[rows], can[rows], time)
        if len(model.slots.resident) > model.shape.call_slots:  # else no call can have too many of them
            called.update(block.slots.tolist())
            if turns and len(called - {NOWHERE}) > model.shape.call_slots:
                break
        pieces.popleft()
        turns.append(Turn(block, scored, cut.start, cut.complete))
        if not cut.complete or seeds.fills(turns[-1]) or block.time >= model.known.ends:
            break
        block = Block.empty(block.number + 1, model.shape.features, block.time)
    return turns


def _before_upkeep(model: Parts, pieces: deque[Cut], times: Float64, room: int) -> int:
    """Return how many of the next pieces, `room` at most, come before upkeep is due.

    Rows behind it are not even looked for: what it forgets they must not find.
    """
    time = model.open.time
    for count, cut in enumerate(islice(pieces, room), 1):
        if cut.end > cut.start:
            time = float(times[cut.end - 1])
        if cut.complete and model.upkeep.is_due(model.open.number + count, time):
            return count
    return room


def _find(model: Parts, entities: list[str] | None, start: int, end: int) -> Int64:
    if entities is None:
        return np.repeat(model.slots.find([WHOLE]), end - start)
    return model.slots.find(entities[start:end])
