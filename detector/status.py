"""`detector status`: what this daemon does, owns and waits for."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from detector.config.sections import Config
from detector.owned import Owned
from detector.telemetry.health import Health
from detector.types import ControlKind, Partition
from detector.version import __version__

_WORST = 15
"""Open incidents of a partition that are told."""


class Status:
    """Answers the command `status`. `started` is in epoch seconds."""

    def __init__(
        self, config: Callable[[], Config], owned: Mapping[Partition, Owned], health: Health, started: float
    ) -> None:
        self._config = config
        self._owned = owned
        self._health = health
        self._started = started

    def answer(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Return the state of things: of the daemon, and of each partition that it owns."""
        del payload  # nothing is asked for in particular
        config = self._config()
        ready, blocked = self._health.ready()
        return {
            "version": __version__,
            "pid": os.getpid(),
            "started": self._started,
            "store": str(config.store.path.absolute()),
            "source": config.source.kind,
            "preset": config.preset,
            "ready": ready,
            "blocked": {reason.value: detail for reason, detail in blocked.items()},
            "partitions": [_partition(owned) for _, owned in sorted(self._owned.items())],
        }


def _partition(owned: Owned) -> dict[str, Any]:
    model, counted = owned.model, owned.model.counted()
    return {
        "partition": str(owned.partition),
        "offset": owned.position.offset,
        "row": owned.position.row,
        "lag": max(owned.log_end - owned.position.offset, 0) if owned.log_end >= 0 else None,
        "event_time": model.time if math.isfinite(model.time) else None,
        "block": model.open.number,
        "model_version": model.model_version,
        "entities": len(model.slots),
        "entities_in_memory": len(model.slots.resident),
        "entities_warming_up": counted.warming_up,
        "learning": counted.learning,
        "rows_seen": owned.rows_seen,
        "incidents_open": dict(zip(("warning", "critical"), model.incidents.by_severity(), strict=True)),
        "worst": _worst(owned),
        "findings": _findings(owned),
        "controls_waiting": [{"kind": c.kind.value, "at_block": c.boundary} for c in model.waiting],
    }


def _findings(owned: Owned) -> int:
    """Return how many rows the last refit found anomalous in hindsight."""
    candidates = owned.controls.of(ControlKind.CANDIDATE)
    return int(candidates[-1].payload.get("overlooked", 0)) if candidates else 0


def _worst(owned: Owned) -> list[dict[str, Any]]:
    """Return the open incidents with the highest peaks, the highest first."""
    model = owned.model
    slots = np.array(sorted(model.incidents.open), np.int64)
    states = model.bank.incidents_of(slots)
    told = []
    for i in np.argsort(states["least"], kind="stable")[:_WORST].tolist():
        state = states[i]
        told.append(
            {
                "entity": model.slots.names[slots[i]] or None,
                "severity": "critical" if state["critical"] else "warning",
                "peak": 0.0 - math.log10(float(state["least"])),
                "peak_at_least": bool(state["capped"]),
                "count": int(state["count"]),
                "duration": max(model.time - float(state["start"]), 0.0),
            }
        )
    return told
