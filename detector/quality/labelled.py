"""Labelled sets: a folder with a `manifest.json`, and an `.npz` file for each set.

manifest.json  {"sets": {NAME: {"evaluate": {...}, ...}}}; `Rule` tells what `evaluate` may say. A set without one is
               taken in file order, as `metrics` where it has timestamps and as `events` where it has none.
NAME.npz       X         float [n, D]  features; NaN = missing
               y         int   [n]     1 = anomaly
               entity    int   [n]     optional: number of the row's stream, into `entities`
               entities  text  [S]     names of the streams
               t         [n]           optional: epoch seconds
               cat       int   [n, C]  optional: categories, one-hot beside the features; their numbers are in
               cat_size  int   [C]
               meta      JSON text     optional; `windows` (stream -> [[start, end], ...]) is for NAB's scoring

Rows are chosen and shuffled with NumPy's default generator, so that two readers of one manifest judge the same rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from zipfile import BadZipFile

import msgspec
import numpy as np

from detector.errors import LabelledSetError
from detector.quality.presets import Preset
from detector.types import Bool, Float32, Float64, Int64

WITHOUT_GROUP = "other"
"""The group of sets whose manifest names none."""

Windows = tuple[tuple[float, float], ...]
"""First and last moment of each labelled window, epoch seconds."""

_INTERVAL = {"metrics": 60.0, "events": 1.0}
"""Seconds between two rows where neither timestamps nor the manifest tell: a metric is sampled each minute, which makes
10,080 rows a week; events come one a second, so that some are learned together and none waits for long."""

UNREADABLE = (OSError, ValueError, EOFError, BadZipFile)
"""What NumPy raises where a file is no archive of arrays."""

_MOST_FEATURES = 1024
"""As many as the daemon takes."""

_EPOCH = 1_600_000_000.0


class Rule(msgspec.Struct, frozen=True):
    """How a set is evaluated.

    group     sets whose figures are averaged
    preset    metrics = ordered series, an entity for each stream; events = independent events
    shuffle   seeds: one run for each, its rows shuffled; absent = file order
    thin      anomalies are dropped at random until they are this share
    window    rows [a, b) of the file alone
    limit     the first so many rows alone, of a set without streams
    interval  seconds between two rows (of a stream, for metrics) where there are no timestamps
    """

    group: str = WITHOUT_GROUP
    preset: Preset = "events"
    shuffle: tuple[int, ...] | None = None
    thin: Annotated[float, msgspec.Meta(gt=0, lt=1)] | None = None
    window: tuple[int, int] | None = None
    limit: Annotated[int, msgspec.Meta(gt=0)] | None = None
    interval: Annotated[float, msgspec.Meta(gt=0)] | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """The rows that a set is evaluated on at once. Those of a stream are in order.

    values   float32 [n, D]
    labels   bool    [n]     whether the row is anomalous
    stream   int64   [n]     number of its stream, into `streams`
    streams  names [S]; a single one where the set names none, and then `keyed` is False
    times    float64 [n]     epoch seconds; assumed (`timed` is False) where the set has none
    windows  by stream, for NAB's scoring; empty where the set is none of NAB's
    """

    values: Float32
    labels: Bool
    stream: Int64
    streams: list[str]
    times: Float64
    keyed: bool
    timed: bool
    windows: dict[str, Windows]

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, stream: int) -> Int64:
        """Return the numbers of a stream's rows, in order."""
        return np.flatnonzero(self.stream == stream)


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """A set and how it is evaluated."""

    name: str
    path: Path
    rule: Rule

    def runs(self) -> Iterator[Run]:
        """Read what the set is evaluated on, one run for each seed; LabelledSetError where its file cannot be used."""
        for seed in self.rule.shuffle if self.rule.shuffle is not None else (None,):
            try:
                run = self._read(seed)
            except (*UNREADABLE, KeyError, IndexError, TypeError) as error:
                message = f"{self.path}: not a labelled set ({type(error).__name__}: {error})"
                raise LabelledSetError(message) from error
            yield run

    def _read(self, seed: int | None) -> Run:
        with np.load(self.path, allow_pickle=False) as file:
            labels, rows = file["y"] != 0, file["X"]
            if len(labels) != len(rows):
                message = f"{len(rows)} rows, and labels of {len(labels)}"
                raise ValueError(message)
            chosen = _chosen(labels, self.rule, seed, limited="entity" not in file)
            times = None if "t" not in file or seed is not None else file["t"][chosen].astype(np.float64)
            stream = file["entity"][chosen].astype(np.int64) if "entity" in file else None
            values = np.ascontiguousarray(rows[chosen], np.float32)
            if "cat" in file:
                values = _beside_one_hot(values, file["cat"][chosen], file["cat_size"])
            if not 1 <= values.shape[1] <= _MOST_FEATURES:
                message = f"X has {values.shape[1]} features; expected 1 to {_MOST_FEATURES}"
                raise ValueError(message)
            streams = [str(name) for name in file["entities"]] if stream is not None else [self.name]
            meta = json.loads(str(file["meta"])) if "meta" in file else {}
        own = np.zeros(len(chosen), np.int64) if stream is None else stream
        return Run(
            values,
            labels[chosen],
            own,
            streams,
            self._assumed_times(own) if times is None else times,
            keyed=stream is not None,
            timed=times is not None,
            windows={} if times is None else _windows(meta),
        )

    def _assumed_times(self, stream: Int64) -> Float64:
        """Return times [n] at the rule's interval: those of metrics run beside each other, stream by stream."""
        interval = self.rule.interval or _INTERVAL[self.rule.preset]
        numbers = np.arange(len(stream))
        if self.rule.preset == "metrics":
            order = np.argsort(stream, kind="stable")
            _, starts, counts = np.unique(stream[order], return_index=True, return_counts=True)
            numbers[order] = np.arange(len(stream)) - np.repeat(starts, counts)
        return _EPOCH + interval * numbers.astype(np.float64)


def _chosen(labels: Bool, rule: Rule, seed: int | None, *, limited: bool) -> Int64:
    """Return the numbers of the rows to evaluate, in order."""
    random = np.random.default_rng(seed or 0)
    chosen = np.arange(len(labels))
    if rule.window is not None:
        chosen = chosen[slice(*rule.window)]
    if rule.thin is not None:
        anomalous, normal = np.flatnonzero(labels[chosen]), np.flatnonzero(~labels[chosen])
        wanted = round(rule.thin / (1.0 - rule.thin) * len(normal))
        if wanted < len(anomalous):
            kept = np.concatenate([normal, random.choice(anomalous, wanted, replace=False)])
            chosen = chosen[np.sort(kept)]
    if seed is not None:
        chosen = random.permutation(chosen)
    return chosen[: rule.limit] if limited else chosen


def _beside_one_hot(values: Float32, categories: Int64, sizes: Int64) -> Float32:
    hot = [np.eye(int(size), dtype=np.float32)[column] for column, size in zip(categories.T, sizes, strict=True)]
    return np.concatenate([values, *hot], 1)


def _windows(meta: dict[str, Any]) -> dict[str, Windows]:
    def moment(text: str) -> float:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()

    return {
        stream: tuple((moment(start), moment(end)) for start, end in windows)
        for stream, windows in meta.get("windows", {}).items()
    }
