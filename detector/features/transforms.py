"""From decoded rows to those of the model, as the configuration declares it: `layout.py` tells the columns.

On the way values are float64 (a float32 cannot count past 16 million by ones); the model's rows are float32, and
finiteness is judged after that cast. What a transform takes beyond it counts as missing: the row was accepted, and
other state has advanced by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from detector.config import transforms as declared
from detector.config.sections import Events
from detector.features import steps
from detector.features.cycles import phases
from detector.features.grouping import Grouped
from detector.features.layout import columns_of, lag_columns, missing_of, steps_of
from detector.types import Float32, Float64, Int64


class Derived(NamedTuple):
    """What the model sees of some rows.

    values      float64 [n, D]  in the units of people; NaN = missing
    rows        float32 [n, D]  the same for the model
    overflowed  values beyond float32, which count as missing
    """

    values: Float64
    rows: Float32
    overflowed: int


class Transforms:
    """The transforms of a configuration.

    features  F, the configured features: the first columns of the model's rows
    columns   D, all columns
    width     float64 of running state a slot; all NaN is that of a new one
    idle      whether nothing is to be done but the cast
    """

    def __init__(self, events: Events) -> None:
        self.features, self.columns = len(events.features), columns_of(events)
        self._chains = _chains(events)
        self._cycles = tuple(events.cycles)
        self.width = sum(chain.width for chain in self._chains)
        self.idle = not any(chain.steps for chain in self._chains) and not self._cycles

    def derive(self, values: Float64, times: Float64, slots: Int64, state: Float64) -> Derived:
        """Transform rows [n, F] of slots [n] in log order, at their own event times [n] in epoch seconds.

        `state` [S, width] is advanced in place. Of a row without a slot (-1) all is missing.
        """
        derived, overflowed = np.full((len(values), self.columns), np.nan), 0
        placed = np.flatnonzero(slots >= 0)
        if len(placed):
            rows = Grouped.of(slots[placed], times[placed])
            at = placed[rows.order]
            derived[at], overflowed = self._derive(values[at], rows, state)
        with np.errstate(over="ignore"):
            cast = derived.astype(np.float32)
        beyond = np.isinf(cast)
        derived[beyond], cast[beyond] = np.nan, np.nan
        return Derived(derived, cast, overflowed + int(beyond.sum()))

    def _derive(self, values: Float64, rows: Grouped, state: Float64) -> tuple[Float64, int]:
        """Transform grouped rows; returns how many values became infinite even as float64, too."""
        held, derived = state[rows.slots], np.empty((len(values), self.columns))
        overflowed, at = 0, 0
        for chain in self._chains:
            derived[:, chain.into], beyond = chain.run(values[:, chain.columns], held[:, at : at + chain.width], rows)
            overflowed, at = overflowed + beyond, at + chain.width
        state[rows.slots] = held
        start = self.columns - 2 * len(self._cycles)
        for number, cycle in enumerate(self._cycles):
            derived[:, start + 2 * number : start + 2 * number + 2] = phases(cycle, rows.times)
        return derived, overflowed


@dataclass(frozen=True, slots=True)
class Chain:
    """Features that are treated the same: their columns, the steps in order, and the columns that come of them."""

    columns: list[int]
    steps: tuple[steps.Step, ...]
    into: list[int]

    @property
    def width(self) -> int:
        """Numbers of running state a slot."""
        return sum(step.width for step in self.steps) * len(self.columns)

    def run(self, values: Float64, state: Float64, rows: Grouped) -> tuple[Float64, int]:
        """Take step by step; `state` [P, width] is advanced in place.

        Returns the values [n, columns that come of it], and how many became infinite, and so missing.
        """
        at, overflowed, features = 0, 0, len(self.columns)
        for step in self.steps:
            own = state[:, at : at + step.width * features]
            shaped = own.reshape(len(own), step.width, features).copy()
            with np.errstate(over="ignore"):
                values = step(values, shaped, rows)
            own[:] = shaped.reshape(own.shape)
            infinite = np.isinf(values)
            values[infinite] = np.nan
            at, overflowed = at + step.width * features, overflowed + int(infinite.sum())
        return values, overflowed


def _chains(events: Events) -> list[Chain]:
    """Gather the features that are treated the same."""
    gathered: dict[tuple[declared.Missing, tuple[declared.Step, ...]], list[int]] = {}
    for column, feature in enumerate(events.features):
        key = missing_of(events, feature), tuple(steps_of(events, feature))
        gathered.setdefault(key, []).append(column)
    lags, chains = lag_columns(events), []
    for (missing, chain), columns in gathered.items():
        behind = [lags[column][back] for back in range(len(lags[columns[0]])) for column in columns]
        chains.append(Chain(columns, _made(missing, chain), columns + behind))
    return chains


def _made(missing: declared.Missing, chain: Sequence[declared.Step]) -> tuple[steps.Step, ...]:
    made: list[steps.Step] = []
    if missing == "previous":
        made.append(steps.Previous())
    elif missing == "zero":
        made.append(steps.Zero())
    return (*made, *map(_step, chain))


def _step(step: declared.Step) -> steps.Step:
    match step.kind:
        case "log1p":
            return steps.Log1p()
        case "difference":
            return steps.Difference()
        case "rate":
            return steps.Rate()
        case "lags":
            return steps.Lags(int(step.number))
    return steps.Ema(step.number)
