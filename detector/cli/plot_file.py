"""What `detector plot --file` draws: the events of a file, clustered as a refit would."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detector import decoding
from detector.config.sections import Config
from detector.errors import SourceError
from detector.refit.fitting import fit
from detector.refit.record import Record
from detector.refit.values import Parameters, Window
from detector.types import Bool, PlainRecord, Rows

_LEAST = 2
"""Rows that an entity needs to be drawn."""


def record_of(file: Path, config: Config, parameters: Parameters) -> Record:
    """Cluster the entities of a file with the most rows, each for itself; SourceError where it holds no events.

    A window takes at most `refit.window.rows` of an entity's rows, evenly spread; its scale is that of those rows.
    """
    rows = _rows(file, config)
    features = [feature.name for feature in config.events.features]
    names = np.array(rows.entities if rows.entities is not None else [""] * len(rows))
    entities, counts = np.unique(names, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    chosen = [str(entities[i]) for i in order.tolist() if counts[i] >= _LEAST]
    windows = [_window(rows, names == entity, config) for entity in chosen]
    return Record(features, chosen, parameters, windows, [fit(window, parameters) for window in windows])


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


def _window(rows: Rows, mine: Bool, config: Config) -> Window:
    at = np.flatnonzero(mine)
    most = max(config.refit.window.rows, _LEAST)
    at = at[np.linspace(0, len(at) - 1, min(len(at), most)).astype(np.int64)]
    values = rows.values[at].astype(np.float32)
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
