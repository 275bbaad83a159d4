"""Which columns a model's rows have, from the configuration alone.

First the F configured features, each as its transforms make it; then the lags of the first feature, one row back, two
back, and so on, those of the next; then sine and cosine of each cycle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from detector.config.sections import Events, Feature
from detector.config.transforms import Missing, Step
from detector.features.cycles import at
from detector.types import Float32, Float64


@dataclass(frozen=True, slots=True)
class ModelFeature:
    """A feature of the model as people know it.

    name      `requests (rate)`, `cpu (2 back)`, `hour of day`
    unit      "" = none
    feature   number of the configured feature that it comes from; None for a cycle
    columns   its columns in the model's rows: two for a cycle, else one
    cycle     the cycle, if it is one
    """

    name: str
    unit: str
    feature: int | None
    columns: tuple[int, ...]
    cycle: str | None = None

    def value(self, row: Float64 | Float32) -> float:
        """Return its value in a row [D]; of a cycle the hour, or the day of the week (0 = Monday), in UTC."""
        if self.cycle is None:
            return float(row[self.columns[0]])
        return at(self.cycle, float(row[self.columns[0]]), float(row[self.columns[1]]))

    def share(self, shares: Float64) -> float:
        """Return its share of the squared distance from those of the columns [D]."""
        return float(sum(shares[column] for column in self.columns))


def missing_of(events: Events, feature: Feature) -> Missing:
    """Return what is done where a feature is missing."""
    return feature.missing or events.missing


def steps_of(events: Events, feature: Feature) -> Sequence[Step]:
    """Return the transforms of a feature: its own, or those for all."""
    return events.transforms if feature.transforms is None else feature.transforms


def lag_columns(events: Events) -> list[range]:
    """Return the columns of each feature's lags, the newest first."""
    columns, at = [], len(events.features)
    for feature in events.features:
        count = sum(int(step.number) for step in steps_of(events, feature) if step.kind == "lags")
        columns.append(range(at, at + count))
        at += count
    return columns


def columns_of(events: Events) -> int:
    """Return how many columns there are, D."""
    return lag_columns(events)[-1].stop + 2 * len(events.cycles)


def model_features(events: Events) -> list[ModelFeature]:
    """Return the model's features as they are told: each configured one with its lags behind it, the cycles last."""
    told: list[ModelFeature] = []
    lags = lag_columns(events)
    for number, feature in enumerate(events.features):
        steps = [step for step in steps_of(events, feature) if step.kind != "lags"]
        unit = _unit(feature.unit, steps)
        made = [step.kind for step in steps]
        told.append(ModelFeature(_name(feature, made), unit, number, (number,)))
        for back, column in enumerate(lags[number], 1):
            told.append(ModelFeature(_name(feature, [*made, f"{back} back"]), unit, number, (column,)))
    column = lags[-1].stop
    for cycle in events.cycles:
        unit = "h" if cycle == "hour_of_day" else ""
        told.append(ModelFeature(cycle.replace("_", " "), unit, None, (column, column + 1), cycle))
        column += 2
    return told


def column_names(events: Events) -> list[str]:
    """Return a name for each column [D], as people know it; a cycle has two."""
    names = [""] * columns_of(events)
    for made in model_features(events):
        for column, part in zip(made.columns, ("",) if made.cycle is None else (", sine", ", cosine"), strict=True):
            names[column] = made.name + part
    return names


def _name(feature: Feature, made: Sequence[str]) -> str:
    return f"{feature.name} ({', '.join(made)})" if made else feature.name


def _unit(unit: str, steps: Sequence[Step]) -> str:
    for step in steps:
        if step.kind == "rate":
            unit = f"{unit or '1'}/s"
        elif step.kind == "log1p":
            unit = ""
    return unit
