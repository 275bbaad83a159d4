"""Whether the daemon lives, and what it waits for: two questions that need two answers.

A hang is what a restart mends, so `alive` watches the main loop alone. Waiting for a broker, a disk or a receiver is
what a restart does not mend: `ready` tells it, with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from threading import Lock

from prometheus_client import Gauge

HANG = 60.0
"""Seconds without a turn of the main loop after which it counts as hung."""


class BlockReason(StrEnum):
    """What the daemon can wait for: a bounded set, used as a metric label."""

    STARTING = "starting"
    SOURCE = "source"
    REGISTRY = "registry"
    STORE = "store"
    OUTBOX = "outbox"
    DEAD_LETTERS = "dead_letters"
    STOPPING = "stopping"


class Health:
    """Shared by all threads. `blocked` is the gauge that shows each reason as 0 or 1.

    It begins blocked by STARTING, and with a turn of the loop.
    """

    def __init__(self, blocked: Gauge, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._blocked = blocked
        self._monotonic = monotonic
        self._lock = Lock()
        self._details: dict[BlockReason, str] = {}
        self._turned = monotonic()
        for reason in BlockReason:
            blocked.labels(reason.value).set(0)
        self.block(BlockReason.STARTING, "the daemon starts")

    def turned(self) -> None:
        """Say that the main loop made a turn; called once a turn, waits included."""
        self._turned = self._monotonic()

    def block(self, reason: BlockReason, detail: str) -> None:
        """Say what the daemon waits for; saying it again replaces the detail, one line for people without secrets."""
        with self._lock:
            self._details[reason] = detail
            self._blocked.labels(reason.value).set(1)

    def unblock(self, reason: BlockReason) -> None:
        """Say that it waits for this no longer; harmless, and quick, where it did not."""
        with self._lock:
            if self._details.pop(reason, None) is not None:
                self._blocked.labels(reason.value).set(0)

    def age(self) -> float:
        """Return the seconds since the main loop last turned."""
        return self._monotonic() - self._turned

    def alive(self) -> bool:
        """Tell whether the main loop turned within the last 60 seconds."""
        return self.age() < HANG

    def ready(self) -> tuple[bool, dict[BlockReason, str]]:
        """Return whether nothing is waited for, and the details of what is, by reason."""
        with self._lock:
            return not self._details, dict(self._details)
