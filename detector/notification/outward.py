"""The way out, put together: from the partitions' outboxes through the file of notification to the sinks.

partitions' outboxes --(inward: intake, dead letters)--> notification.sqlite --(notifier)--> its outbox
    --(outward: a line a sink)--> receivers
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from detector.alerts.delivery import Delivery
from detector.alerts.line import DeliveryObserver
from detector.alerts.outboxes import Backlog
from detector.notification.intake import SINK, Intake, NotificationObserver
from detector.notification.notifier import Notifier, Stage
from detector.store.notification import NOTIFICATION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from detector.notification.rules import NotificationRules
    from detector.protocols import Clock, PartitionStore, Sink
    from detector.store.notification import NotificationFile
    from detector.types import Partition


class Observer(DeliveryObserver, NotificationObserver, Protocol):
    """Who counts deliveries and messages. Called on several threads; must not raise."""


class Outward:
    """Owns the threads of the way out, and the sinks. It starts with the object."""

    def __init__(  # noqa: PLR0913 - its parts
        self,
        file: NotificationFile,
        rules: NotificationRules,
        stages: Sequence[Stage],
        *,
        sinks: Sequence[Sink],
        letters: Sequence[Sink],
        clock: Clock,
        observer: Observer,
    ) -> None:
        self._outward = Delivery(sinks, clock, observer)
        self._notifier = Notifier(file, stages, self._outward, clock, observer)
        self._intake = Intake(file, rules, observer, self._taken)
        self._inward = Delivery([self._intake, *letters], clock, _Inward(observer))

    def attach(self, store: PartitionStore) -> None:
        """Deliver what this partition's outbox holds, from now on."""
        self._inward.attach(store)

    def detach(self, partition: Partition) -> None:
        """Leave a partition's store alone; returns once nothing of it is in flight."""
        self._inward.detach(partition)

    def wake(self, partition: Partition | None = None) -> None:
        """Tell that a partition's outbox has got entries."""
        self._inward.wake(partition)

    def waiting(self, partition: Partition) -> Backlog:
        """Return what waits in a partition's outbox, as of the last second; alerts under the sink they wait for."""
        backlog = self._inward.waiting(partition)
        sink = self._intake.waits_for
        return {sink if sink is not None and name == SINK else name: waiting for name, waiting in backlog.items()}

    def know(self, entities: Mapping[Partition, int]) -> None:
        """Say how many entities each partition of this worker knows."""
        self._intake.population = entities

    def accept(self, rules: NotificationRules) -> None:
        """Take other rules from now on."""
        self._intake.rules = rules
        self._notifier.accept(rules)

    def replace(self, sinks: Sequence[Sink]) -> None:
        """Deliver through these sinks from now on, as `Delivery.replace` does."""
        self._outward.replace(sinks)

    def resume(self) -> None:
        """Try receivers again at once that were left alone: an operator says that they are well."""
        self._inward.resume()
        self._outward.resume()

    def drain(self, timeout: float) -> bool:
        """Wait until all that can be delivered now has been; False where that takes longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout

        def left() -> float:
            return max(deadline - time.monotonic(), 0.0)

        while self._inward.drain(left()) and self._notifier.settle(left()) and self._outward.drain(left()):
            if not self._intake.has_room_again():
                return True
            self._inward.resume()
        return False

    def close(self, timeout: float) -> None:
        """Stop after the attempts under way and close the sinks; what is in flight then will be sent again."""
        deadline = time.monotonic() + timeout
        self._inward.close(timeout / 2)
        self._notifier.close()
        self._outward.close(max(deadline - time.monotonic(), 0.0))
        self._notifier.release()

    def _taken(self, direct: bool) -> None:  # noqa: FBT001 - a callback's argument
        if direct:
            self._outward.wake(NOTIFICATION)
        self._notifier.wake()


class _Inward:
    """Leaves the intake out of what is counted as delivered, as its alerts go nowhere yet."""

    def __init__(self, observer: DeliveryObserver) -> None:
        self._observer = observer

    def delivered(self, sink: str, code: str, seconds: float) -> None:
        if sink != SINK:
            self._observer.delivered(sink, code, seconds)

    def refused(self, sink: str, code: str) -> None:
        self._observer.refused(sink, code)

    def crashed(self, where: str) -> None:
        self._observer.crashed(where)

    def backlog(self, sink: str, entries: int, oldest: float) -> None:
        self._observer.backlog(sink, entries, oldest)

    def collapsed(self, sink: str, entries: int) -> None:
        self._observer.collapsed(sink, entries)
