"""Folders of labelled sets, small enough to reckon by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from detector.quality.labelled import Run, Windows


def write_set(folder: Path, name: str, rule: dict[str, Any] | None = None, **arrays: ArrayLike) -> None:
    """Write NAME.npz and put it into the manifest, with `evaluate` where a rule is given."""
    manifest = folder / "manifest.json"
    sets = json.loads(manifest.read_text())["sets"] if manifest.exists() else {}
    sets[name] = {"file": f"{name}.npz"} | ({} if rule is None else {"evaluate": rule})
    manifest.write_text(json.dumps({"sets": sets}))
    np.savez(folder / f"{name}.npz", **{key: np.asarray(array) for key, array in arrays.items()})  # type: ignore[arg-type]  # it takes `allow_pickle` by the same way


def run_of(
    labels: ArrayLike,
    *,
    values: ArrayLike | None = None,
    stream: ArrayLike | None = None,
    times: ArrayLike | None = None,
    windows: dict[str, Windows] | None = None,
) -> Run:
    """Return a run of those labels: of one stream unless `stream` numbers them, a second apart unless `times` says."""
    flags = np.asarray(labels, np.bool_)
    own = np.zeros(len(flags), np.int64) if stream is None else np.asarray(stream, np.int64)
    return Run(
        np.zeros((len(flags), 1), np.float32) if values is None else np.asarray(values, np.float32),
        flags,
        own,
        [f"s{number}" for number in range(int(own.max(initial=0)) + 1)],
        np.arange(len(flags), dtype=np.float64) if times is None else np.asarray(times, np.float64),
        keyed=stream is not None,
        timed=times is not None,
        windows=windows or {},
    )
