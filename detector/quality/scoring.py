"""What the daemon makes of a run: the whole of it, from the decoder to the store, on a log that holds the run."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from detector.app import daemon
from detector.config.sections import Config
from detector.models.progress import Progress
from detector.observing import Observing
from detector.owned import Owned
from detector.pipeline import Observer
from detector.portion import Done
from detector.quality import presets
from detector.quality.labelled import Run
from detector.quality.presets import Preset, Settings
from detector.quality.source import RunSource, events_section, log_order
from detector.store.writer import Finished
from detector.types import Batch, Float64, OutboxEntry, Rows

_DECIMALS = 2
"""As people see a score."""


@dataclass(frozen=True, slots=True)
class Scored:
    """The daemon's judgement of each row of a run, given before it learned the row.

    score     float64 [n]  -log10(rate); NaN where the row was not scored
    distance  float64 [n]  likewise, as smoothed where the preset smooths: what the score is the rate of
    seconds   in which it decoded, scored and learned all of them: without compiling, and without the store
    """

    score: Float64
    distance: Float64
    seconds: float

    def ranks(self) -> Float64:
        """Return numbers [n] that order the rows by distance. Rows that were not scored come first.

        Within a stream the score says the same on another scale, but that scale follows the stream: a lasting anomaly
        becomes less rare while it lasts, which is right for who reads it and no judgement of its rows.
        """
        return np.nan_to_num(self.distance, nan=-1.0)

    def on_one_scale(self) -> Float64:
        """Return numbers [n] that order the rows of all streams: the score, by which the daemon alerts.

        Rows that were not scored come first.
        """
        return np.nan_to_num(self.score, nan=-np.inf)

    def ranks_by_score(self) -> Float64:
        """Return numbers [n] that order the rows as people read of them: by score as it is told, then by distance.

        A score alone cannot order what is far out: it ends where the reference does ("at least 6"), and that end
        creeps with each block, so that it would order such rows by their time. Rows whose score reads the same, to
        two decimals, are therefore ordered by their distance. Rows that were not scored come first.
        """
        told = np.nan_to_num(np.round(self.score, _DECIMALS), nan=-np.inf)
        far = np.nan_to_num(self.distance, nan=-np.inf)
        _, ranks = np.unique(np.stack([told, far], 1), axis=0, return_inverse=True)
        return ranks.reshape(-1).astype(np.float64)


def score(name: str, preset: Preset, settings: Settings, run: Run, done: Callable[[int], None]) -> Scored:
    """Run the daemon on the rows of a run, with a preset and settings before it; `done` is told of rows as they are."""
    source = RunSource(name, run, log_order(run, preset))
    watchers: list[_Watcher] = []

    def watch(observing: Observing) -> Observer:
        watchers.append(_Watcher(observing, source, len(run), done))
        return watchers[0]

    with (
        tempfile.TemporaryDirectory(prefix="detector-bench-") as folder,
        daemon(configuration(preset, settings, run, Path(folder)), source=source, watch=watch) as built,
    ):
        built.service.run(lambda: False)
    return watchers[0].scored()


def configuration(preset: Preset, settings: Settings, run: Run, folder: Path) -> Config:
    """Return a preset's configuration with settings before it: all else is as the daemon has it by default."""
    document = presets.sections(preset, settings) | {
        "source": {"kind": "computer"},  # never read: the run stands in for it
        "events": events_section(run).model_dump(exclude={"registry"}),
        "sinks": [],
        "store": {"path": folder},
        "http": {"enabled": False},
    }
    return Config.model_validate(document)


class _Watcher:
    """Stands before the metrics and keeps every row's score and distance."""

    def __init__(self, behind: Observer, source: RunSource, rows: int, done: Callable[[int], None]) -> None:
        self._behind = behind
        self._source = source
        self._score = np.full(rows, np.nan)
        self._distance = np.full(rows, np.nan)
        self._seconds = 0.0
        self._done = done

    def scored(self) -> Scored:
        return Scored(self._score, self._distance, self._seconds)

    def decoded(self, owned: Owned, done: Done, seconds: float) -> None:
        """Count the time."""
        self._seconds += seconds
        self._done(done.rows)
        self._behind.decoded(owned, done, seconds)

    def advanced(self, owned: Owned, rows: Rows, progress: Progress) -> None:
        """Keep what the model made of the rows that were taken."""
        taken = self._source.rows_of(rows[: progress.taken])
        self._score[taken] = progress.score
        self._distance[taken] = progress.smoothed
        self._behind.advanced(owned, rows, progress)

    def alerted(self, entries: Sequence[OutboxEntry]) -> None:
        """Pass on."""
        self._behind.alerted(entries)

    def read(self, owned: Owned, batch: Batch) -> None:
        """Pass on."""
        self._behind.read(owned, batch)

    def saved(self, owned: Owned, finished: Finished, evicted: int) -> None:
        """Pass on."""
        self._behind.saved(owned, finished, evicted)
