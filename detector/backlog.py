"""What the daemon has to wait for before it may read on: room on the disk, and receivers."""

from __future__ import annotations

from detector.alerts import dead_letters
from detector.config import sections
from detector.notification.outward import Outward
from detector.ownership import Ownership
from detector.store.writer import Writer
from detector.telemetry.health import BlockReason


class Backlog:
    """What the daemon has to wait for before it may read on."""

    def __init__(self, config: sections.Config, ownership: Ownership, writer: Writer, delivery: Outward) -> None:
        self._ownership = ownership
        self._writer = writer
        self._delivery = delivery
        self.accept(config)

    def accept(self, config: sections.Config) -> None:
        """Take the bounds of another configuration from now on."""
        self._alerts = config.outbox.max_alerts
        self._letters = config.dead_letters.max_bytes

    def waits(self) -> dict[BlockReason, str]:
        """Return what is waited for, with a line for people."""
        waits: dict[BlockReason, str] = {}
        if (full := self._writer.blocked) is not None:
            waits[BlockReason.STORE] = full
        for partition in self._ownership.owned:
            for sink, (entries, _, size) in self._delivery.waiting(partition).items():
                if sink == dead_letters.SINK and size > self._letters:
                    waits[BlockReason.DEAD_LETTERS] = (
                        f"{size} bytes of dead letters of {partition} wait for their topic, more than "
                        f"dead_letters.max_bytes ({self._letters}); reading goes on when the topic takes them"
                    )
                elif sink != dead_letters.SINK and entries > self._alerts:
                    waits[BlockReason.OUTBOX] = (
                        f"{entries} alerts of {partition} wait for sink {sink}, more than outbox.max_alerts "
                        f"({self._alerts}); reading goes on when the receiver takes them"
                    )
        return waits
