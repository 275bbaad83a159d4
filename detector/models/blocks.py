"""Blocks: where the log says that the model may change.

A block ends when it holds `rows` rows, or when the partition's event time (the running maximum over its rows) enters
a new tick; the row that opens the tick belongs to the next block. A late row joins the open block.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from detector.types import Bool, Float32, Float64, Int64


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of one block so far.

    number   counts the partition's blocks from 0
    rows     float32 [n, D]
    slots    int64   [n]      slot numbers; -1 = the row has none (too many entities)
    usable   bool    [n]      the row has a slot and at least half its features: it is scored, and may be learned
    time     the partition's event time at the last row, epoch seconds
    """

    number: int
    rows: Float32
    slots: Int64
    usable: Bool
    time: float

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def empty(cls, number: int, features: int, time: float) -> Block:
        """Return a block that has no rows yet."""
        nothing = np.zeros((0, features), np.float32)
        return cls(number, nothing, np.zeros(0, np.int64), np.zeros(0, np.bool_), time)

    def extended(self, rows: Float32, slots: Int64, usable: Bool, time: float) -> Block:
        """Return this block with rows added."""
        if not len(self):
            return Block(self.number, rows, slots, usable, time)
        return Block(
            self.number,
            np.concatenate([self.rows, rows]),
            np.concatenate([self.slots, slots]),
            np.concatenate([self.usable, usable]),
            time,
        )


def usable(rows: Float32, slots: Int64, configured: int) -> Bool:
    """Tell which rows [n, D] can be scored: those with a slot and at least half their features.

    Half of the `configured` ones, the first of D, so that no cycle and no lag makes up for what is missing now; and
    half of all, so that the distance is not mostly made up.
    """
    known = np.isfinite(rows)
    if known.all():
        return slots >= 0
    enough: Bool = (2 * known[:, :configured].sum(1) >= configured) & (2 * known.sum(1) >= rows.shape[1])
    return enough & (slots >= 0)


@dataclass(frozen=True, slots=True)
class Cut:
    """Rows [start, end) of a batch join one block, which is `complete` with them, or without any (start == end)."""

    start: int
    end: int
    complete: bool


def event_times(times: Float64, so_far: float) -> Float64:
    """Return the partition's event time after each row: the running maximum, epoch seconds [n]."""
    running: Float64 = np.maximum.accumulate(np.maximum(times, so_far))
    return running


def cuts(times: Float64, *, held: int, open_time: float, size: int, tick: float) -> list[Cut]:
    """Divide rows among blocks.

    times      float64 [n]  the partition's event time after each row
    held       rows that the open block holds already, its event time being `open_time`
    size       rows of a full block; tick in seconds
    """
    if not len(times):
        return []
    result: list[Cut] = []
    if held and np.floor(times[0] / tick) != np.floor(open_time / tick):
        result.append(Cut(0, 0, complete=True))
        held = 0
    bounds = [0, *_openings(times, tick), len(times)]
    for start, end in pairwise(bounds):
        at = start
        while at < end:
            upto = min(end, at + size - held)
            full = held + upto - at == size
            result.append(Cut(at, upto, complete=full or (upto == end and end < len(times))))
            held = 0 if full or upto == end else held + upto - at
            at = upto
    return result


def _openings(times: Float64, tick: float) -> list[int]:
    """Return the numbers of the rows that open a tick, but for the first; the times [n] never fall."""
    if np.floor(times[0] / tick) == np.floor(times[-1] / tick):
        return []
    ticks = np.floor(times / tick)
    return (np.flatnonzero(ticks[1:] != ticks[:-1]) + 1).tolist()
