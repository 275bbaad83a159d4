"""The one thread that notifies: of all the workers that share the folder, in the one that holds its lock."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Protocol

import structlog

from detector.errors import DetectorError, StoreLockedError
from detector.telemetry.logs import Rarely

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.notification.rules import NotificationRules
    from detector.protocols import Clock, Outbox
    from detector.store.lock import FileLock
    from detector.store.notification import NotificationFile
    from detector.types import Partition

log = structlog.get_logger(__name__)

_POLL = 0.2
"""Seconds between looks at what other workers wrote."""
_LEAD_AGAIN = 1.0
"""Seconds between attempts to become the one that notifies."""


class Ways(Protocol):
    """Delivers what the file's outbox holds."""

    def attach(self, store: Outbox) -> None:
        """Deliver from now on."""

    def wake(self, partition: Partition | None = None) -> None:
        """Tell that there is something to deliver."""


class Stage(Protocol):
    """Makes messages of what is known. Called on the notifier's thread, in the worker that notifies."""

    def accept(self, rules: NotificationRules) -> None:
        """Take other rules from now on; `begin` follows."""

    def begin(self) -> None:
        """Take over from whoever notified before: what is known stands in the file."""

    def turn(self) -> float:
        """Write the messages that are due; returns the monotonic time when there will be something to do unasked."""


class Crashes(Protocol):
    """Who counts unexpected exceptions."""

    def crashed(self, where: str) -> None:
        """Count one."""


class Notifier:
    """Turns the stages whenever something was taken in or is due. It starts with the object."""

    def __init__(
        self, file: NotificationFile, stages: Sequence[Stage], ways: Ways, clock: Clock, observer: Crashes
    ) -> None:
        self._file = file
        self._stages = stages
        self._ways = ways
        self._clock = clock
        self._observer = observer
        self._connection = file.connect()
        self._lock: FileLock | None = None
        self._lead_at = -math.inf
        self._version = -1
        self._due = -math.inf
        self._trouble = Rarely(log, clock.monotonic)
        self._changed = threading.Condition()
        self._accepted: NotificationRules | None = None
        self._woken = True
        self._turning = False
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
        self._thread.start()

    @property
    def leads(self) -> bool:
        """Whether this worker is the one that notifies."""
        return self._lock is not None

    def wake(self) -> None:
        """Tell that something was taken in, or that what counts has changed."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def accept(self, rules: NotificationRules) -> None:
        """Take other rules; returns at once."""
        with self._changed:
            self._accepted = rules
        self.wake()

    def settle(self, timeout: float) -> bool:
        """Wait until all that was taken in by now is looked at; False where that takes longer than `timeout`."""
        self.wake()
        with self._changed:
            return self._changed.wait_for(lambda: self._closing or not (self._woken or self._turning), timeout)

    def close(self) -> None:
        """End the thread; `release` comes when nothing of the outbox is in flight any more."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def release(self) -> None:
        """Let another worker notify."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _run(self) -> None:
        while self._next():
            try:
                self._turn()
            except DetectorError as error:  # a full disk, or a file that another program keeps
                self._trouble.say("notification_in_trouble", error=str(error))
                self._due = self._clock.monotonic() + _LEAD_AGAIN
            except Exception:  # a dead thread would be a daemon that silently tells nobody ever again
                log.exception("notification_crashed")
                self._observer.crashed("notification")
                self._due = self._clock.monotonic() + _LEAD_AGAIN
                time.sleep(_LEAD_AGAIN)
            else:
                if self.leads:  # else it was not tried again yet
                    self._trouble.over("notification_goes_on")

    def _next(self) -> bool:
        """Wait for something to do; False where the thread is to end."""
        with self._changed:
            self._turning = False
            self._changed.notify_all()
            while not self._closing and not self._woken and self._clock.monotonic() < self._due:
                if not self._changed.wait_for(lambda: self._woken or self._closing, _POLL) and self._news():
                    break
            self._woken, self._turning = False, True
            return not self._closing

    def _news(self) -> bool:
        """Return whether another connection has written the file, or this worker may try to lead."""
        if self._lock is None:
            return self._clock.monotonic() >= self._lead_at
        try:
            return self._connection.version() != self._version
        except DetectorError:
            return True  # the turn will tell

    def _turn(self) -> None:
        self._take_rules()
        if self._lock is None and not self._lead():
            self._due = math.inf
            return
        self._version = self._connection.version()
        self._ways.wake(self._file.partition)  # for what other workers wrote
        self._due = min((stage.turn() for stage in self._stages), default=math.inf)
        self._ways.wake(self._file.partition)

    def _take_rules(self) -> None:
        """Take the rules that were accepted; where that fails midway (a full disk), it is done again."""
        rules = self._accepted
        if rules is None:
            return
        for stage in self._stages:
            stage.accept(rules)
        if self._lock is not None:
            self._begin()
        with self._changed:
            if self._accepted is rules:
                self._accepted = None

    def _lead(self) -> bool:
        if self._clock.monotonic() < self._lead_at:
            return False
        self._lead_at = self._clock.monotonic() + _LEAD_AGAIN
        try:
            self._lock = self._file.lead()
        except StoreLockedError:
            return False
        try:
            self._begin()
        except BaseException:
            self.release()  # or nobody would notify: not this worker, and no other
            raise
        log.info("notifying", file=str(self._file.file))
        self._ways.attach(self._file)
        return True

    def _begin(self) -> None:
        for stage in self._stages:
            stage.begin()
