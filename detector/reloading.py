"""Reload: a changed configuration file takes effect in the running daemon, whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from detector.config.changes import compare
from detector.config.detection import Detection
from detector.config.sections import Config
from detector.errors import ConfigError, DetectorError
from detector.protocols import Prepared
from detector.types import Partition

log = structlog.get_logger(__name__)


Part = Callable[[Config], Prepared]
"""A part of the daemon that can change while it runs: makes ready, or raises DetectorError and has changed nothing."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Where a changed configuration comes from: `read` reads it, `asked` tells whether a signal has asked for it."""

    read: Callable[[], Config]
    asked: Callable[[], bool] = lambda: False


class Reloads(Protocol):
    """Is told what came of a reload, for the metrics."""

    def reloaded(self, *, successful: bool) -> None:
        """Say that a reload was tried."""


class Reloading:
    """Answers the command `reload`, on the main thread, between two turns.

    `reader` reads the file; `detection` lets another detection configuration take effect at the next boundary of each
    partition and returns those boundaries, or raises where it cannot be recorded; `parts` change at once.
    """

    def __init__(
        self,
        config: Config,
        reader: Reader,
        detection: Callable[[Detection], Mapping[Partition, int]],
        parts: Sequence[Part],
        observer: Reloads,
    ) -> None:
        self.config = config
        self._reader = reader
        self._detection = detection
        self._parts = parts
        self._observer = observer

    def turn(self) -> None:
        """Reload where a signal has asked for it; what comes of that is in the log."""
        if self._reader.asked():
            with suppress(DetectorError):
                self.answer({})

    def answer(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Reload, and tell what changed: at once, and at which block of each partition.

        Raises DetectorError with all that is wrong: then everything is as it was.
        """
        del payload  # nothing is asked for in particular
        try:
            told = self._reload()
        except DetectorError as error:
            self._observer.reloaded(successful=False)
            log.warning("reload_failed", why=str(error), effect="the configuration in force stays so")
            raise
        self._observer.reloaded(successful=True)
        log.info("reloaded", **told)
        return told

    def _reload(self) -> dict[str, Any]:
        config = self._reader.read()
        changes = compare(self.config, config)
        if changes.not_live:
            raise ConfigError("\n".join(_refused(path, why) for path, why in changes.not_live.items()))
        with ExitStack() as prepared:
            parts: list[Prepared] = []
            for part in self._parts:
                parts.append(part(config))
                prepared.callback(parts[-1].discard)
            boundaries = self._detection(Detection.of(config))
            prepared.pop_all()
        for each in parts:
            each.apply()
        self.config = config
        also = [path for each in parts for path in each.changed if path not in changes.at_once]
        return {
            "at_once": [*changes.at_once, *also],
            "at_boundary": changes.at_boundary,
            "partitions": [{"partition": str(each), "at_block": block} for each, block in sorted(boundaries.items())],
        }


def _refused(path: str, why: str) -> str:
    return f"{path}: cannot change while the daemon runs: {why}; restart it for that, or put the old value back"
