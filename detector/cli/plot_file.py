"""What `detector plot --file` draws: the events of a file, clustered as a refit would."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detector import decoding
from detector.config.sections import Config
from detector.errors import SourceError
from detector.features.layout import column_names
from detector.features.transforms import Transforms
from detector.refit.fitting import fit
from detector.refit.record import Record
from detector.refit.values import Parameters, Window
from detector.types import Float32, Int64, PlainRecord, Rows

_LEAST = 2
"""Rows that an entity needs to be drawn."""


def record_of(file: Path, config: Config, parameters: Parameters) -> Record:
    """Cluster the entities of a file, each for itself, that of most rows first; SourceError where it holds no events.

    Rows are clustered as the model would see them: by the declared transforms and cycles, in the order of the file.

    A window takes at most `refit.window.rows` of an entity's rows, evenly spread; its scale is that of those rows.
    """
    rows = _rows(file, config)
    names = np.array(rows.entities if rows.entities is not None else [""] * len(rows))
    entities, slots, counts = np.unique(names, return_inverse=True, return_counts=True)
    transforms = Transforms(config.events)
    state = np.full((len(entities), transforms.width), np.nan)
    seen = transforms.derive(rows.values, rows.times, slots.reshape(-1), state).rows
    order = [i for i in np.argsort(-counts, kind="stable").tolist() if counts[i] >= _LEAST]
    windows = [_window(seen, np.flatnonzero(slots == i), config) for i in order]
    candidates = [fit(window, parameters) for window in windows]
    return Record(column_names(config.events), [str(entities[i]) for i in order], parameters, windows, candidates)


def _rows(file: Path, config: Config) -> Rows:
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        message = f"--file: {file} cannot be read ({error.strerror}); expected a file of JSON lines"
        raise SourceError(message) from error
    records = [PlainRecord(number, -1, None, line) for number, line in enumerate(lines) if line.strip()]
    decoded = decoding.build(config.events).decode(records)
    if len(decoded.rows) < _LEAST:
        why = f"; the first reject: {decoded.rejects[0].detail}" if decoded.rejects else ""
        message = f"--file: {file} holds {len(decoded.rows)} events as `events` reads them{why}"
        raise SourceError(message)
    return decoded.rows


def _window(rows: Float32, at: Int64, config: Config) -> Window:
    """Return the window of an entity whose rows are those numbers [n] of rows [N, D]."""
    most = max(config.refit.window.rows, _LEAST)
    at = at[np.linspace(0, len(at) - 1, min(len(at), most)).astype(np.int64)]
    values = rows[at]
    seen = np.isfinite(values)
    held = np.maximum(seen.sum(0), 1)
    means = np.where(seen, values, 0.0).sum(0) / held
    variances = np.where(seen, (values - means) ** 2, 0.0).sum(0) / held
    return Window(
        values,
        np.ones(len(values)),
        np.where(seen.any(0), means, np.nan).astype(np.float32),
        variances.astype(np.float32),
        config.model.centroids,
    )
