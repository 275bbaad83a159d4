"""Events that are told of when somebody asks why, or why not: those with a score of 2 or more, and what became of them.

Nothing is done a row, and little a block: what the turns of a call say of their rows is kept by reference, and gathered
once a call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.features.layout import ModelFeature
from detector.models.became import Became, Made
from detector.models.ended import Ended
from detector.models.kept import Kept, joined, record_type
from detector.models.progress import Tally
from detector.models.scored import Scored
from detector.models.stacking import Turn
from detector.types import Bool, Float64, Int64, Rows

RATE = 1e-2
"""Of a score of 2: of a hundred normal events one is as far out."""


_BOUNDED_AT = 16
"""The oldest are dropped at every so many calls: more than asked for are kept for a moment."""


class Turned(NamedTuple):
    """What one turn says of its new rows [n]; `made` is None where no incident was concerned.

    alone  their rates but for what spared some of them, None where nothing did; `by` are the ids of what could have
    """

    turn: Turn
    scored: Scored
    flagged: Bool
    since: Float64
    alone: Float64 | None
    made: Made | None
    threshold: float
    ready: bool
    version: int
    by: list[str]

    @property
    def number(self) -> int:
        """Number of the turn's block."""
        return self.turn.block.number

    @property
    def new(self) -> slice:
        """Where the new rows stand among those that were scored."""
        return slice(self.turn.scored - self.turn.first, None)


class Notable:
    """The events of one partition that are still to be written, at most about `keep` of them; 0 = none are kept.

    `features` are the model's, of so many `columns`; `earlier` is what another model has left to be written.
    """

    def __init__(self, features: list[ModelFeature], columns: int, keep: int, earlier: Sequence[Kept] = ()) -> None:
        self.features = features
        self._keep = keep
        self._type = record_type(columns)
        self._turns: list[Turned] = []
        self._ended: dict[int, Ended] = {}
        self._done = list(earlier)
        self._open: list[tuple[Kept, Int64]] = []

    def saw(self, turned: Turned) -> None:
        """Take note of a turn, until `gather`."""
        if self._keep:
            self._turns.append(turned)

    def ended(self, number: int, ended: Ended) -> None:
        """Take note of what became of the rows of a block, until `gather`."""
        if self._keep:
            self._ended[number] = ended

    def gather(self, rows: Rows, tally: Tally) -> None:
        """Keep the notable rows of the turns since the last call, which are consecutive ones of `rows`."""
        if not self._keep:
            return
        turns, self._turns = self._turns, []
        ended, self._ended = self._ended, {}
        self._close(ended)
        if turns:
            hits = _hits(turns, tally)
            if len(hits):
                self._take(turns, hits, rows, tally, ended)
                self._bound()

    def hand_over(self) -> list[Kept]:
        """Return what is to be written; rows of the open block are handed over again once it is complete."""
        done, self._done = self._done, []
        return joined([*done, *(kept for kept, _ in self._open)])

    def _close(self, ended: dict[int, Ended]) -> None:
        """Say what became of the rows of the open block, if it is complete now."""
        still = []
        for kept, at in self._open:
            if (block := ended.get(int(kept.records["block"][0]))) is None:
                still.append((kept, at))
            else:
                records = kept.records.copy()  # what was handed over stays as it was
                records["fate"] = block.fates(at)
                self._done.append(kept._replace(records=records))
        self._open = still

    def _take(self, turns: list[Turned], hits: Int64, rows: Rows, tally: Tally, ended: dict[int, Ended]) -> None:
        """Keep rows of some turns, by their numbers among the new rows of all of them."""
        starts = np.array([each.turn.start for each in turns])
        at = hits + starts[0]
        which = np.searchsorted(starts, at, side="right") - 1
        some = np.split(at - starts[which], np.searchsorted(which, np.arange(1, len(turns))))

        def of_each(get: Callable[[Turned], NDArray[Any]]) -> NDArray[Any]:
            """Pick out turn by turn: whole arrays put together would be written to memory first."""
            return np.concatenate([get(turned)[rows] for turned, rows in zip(turns, some, strict=True)])

        records = np.zeros(len(hits), self._type)
        records["offset"], records["row"], records["time"] = rows.offsets[at], rows.rows[at], rows.times[at]
        records["rate"], records["distance"] = tally.rates[at], tally.distance[at]
        records["observed"] = tally.observed[at]
        records["flagged"], records["since"] = of_each(lambda each: each.flagged), of_each(lambda each: each.since)
        records["warm"] = of_each(lambda each: each.scored.warm[each.new])
        records["expected"] = of_each(lambda each: each.scored.seen.expected[each.new])
        records["parts"] = of_each(lambda each: each.scored.seen.parts[each.new])
        for name in ("threshold", "ready", "version", "number"):
            values = np.array([getattr(each, name) for each in turns])
            records["block" if name == "number" else name] = values[which]
        records["capped"] = records["rate"] <= np.array([each.scored.least_rate for each in turns])[which]
        records["alone"], records["spared"] = np.nan, -1
        for number, turned in enumerate(turns):
            if turned.made is not None or turned.alone is not None:
                _note(records, np.flatnonzero(which == number), at - turned.turn.start, turned)
        entities = [None] * len(hits) if rows.entities is None else [rows.entities[i] for i in at.tolist()]
        self._put(Kept(self.features, records, entities, turns[-1].by), which, at - starts[which], turns, ended)

    def _put(self, kept: Kept, which: Int64, new: Int64, turns: list[Turned], ended: dict[int, Ended]) -> None:
        """Say of rows, by their turns and their numbers among the new rows of those, what became of them, if known."""
        complete = [turned for turned in turns if turned.number in ended]  # all but the last, or all
        done = int(np.searchsorted(which, len(complete)))
        if done:
            blocks = [ended[turned.number].of_new(turned.turn.scored) for turned in complete]
            firsts = np.cumsum([0, *(len(block.able) for block in blocks)])
            fates = Ended.joined(blocks).fates(firsts[which[:done]] + new[:done])
            kept.records["fate"][:done] = fates
            self._done.append(kept.part(slice(0, done)))
        if done < len(which):
            self._open.append((kept.part(slice(done, None)), new[done:] + turns[-1].turn.scored))

    def _bound(self) -> None:
        if len(self._done) % _BOUNDED_AT:
            return
        kept = np.cumsum([len(each.records) for each in reversed(self._done)])
        surplus = len(kept) - 1 - int(np.searchsorted(kept, self._keep))
        del self._done[: max(surplus, 0)]


def _hits(turns: Sequence[Turned], tally: Tally) -> Int64:
    """Return which new rows of some turns are kept: those with a high score, those that tell of an incident, and those
    that would have a high score but for what spared them.
    """  # noqa: D205 - one sentence
    start = turns[0].turn.start
    high = tally.rates[start : turns[-1].turn.end] <= RATE
    for turned in turns:
        here = slice(turned.turn.start - start, turned.turn.end - start)
        if turned.made is not None:
            high[here] |= turned.made.became > Became.WITHIN_INCIDENT
        if turned.alone is not None:
            high[here] |= turned.alone <= RATE
    return np.flatnonzero(high)


def _note(records: NDArray[np.void], of_turn: Int64, new: Int64, turned: Turned) -> None:
    """Write into the records of one turn what is not to be said of most: incidents, and what spared rows."""
    rows = new[of_turn]
    if turned.made is not None:
        records["became"][of_turn] = turned.made.became[rows]
        records["first_offset"][of_turn], records["first_row"][of_turn] = turned.made.first[rows].T
    if turned.alone is not None and turned.scored.spared is not None:
        records["alone"][of_turn] = turned.alone[rows]
        records["spared"][of_turn] = turned.scored.spared[turned.new][rows]
