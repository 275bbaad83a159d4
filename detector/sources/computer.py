"""This computer's own load as a source of events, through psutil.

One record a sample: a JSON array with one event for each part of the computer, so that a sample stays whole and
`offset` counts samples. The parts are entities, each with a model of its own:

    computer    load, memory, swap, context_switches, interrupts, processes
    cpu0 ...    user, system, waiting               (shares of its time; waiting: for a disk or for the hypervisor)
    disk/vda    read, write, operations, busy       (whole devices; partitions would count twice)
    net/eth0    received, sent, packets, drops      (drops: errors too; without the loopback)

Samples are taken every `interval`, and rates go back a second: a core's time is counted in ticks of 10 ms, which are
5 % of a fifth of a second.

A configuration has one list of features for all entities, and an event with fewer than half of them is not scored.
So every event has all of them, and what a part has nothing to do with is 0: a core does receive no packets. A
feature that is always 0 has mean and variance 0, adds exactly nothing to any distance, and so never shows in an
alert; the names stay those that people use ("cpu0: user 97 % (expected 12 %)"), which generic ones (load, in, out)
shared by all kinds of parts would not. What a system does not tell (waiting on macOS) is 0 likewise. Every quantity
has one owner: totals over the cores or disks would only raise each alert twice.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import structlog

from detector.config.sections import ComputerSource as Section
from detector.config.sections import Events, Feature, Timestamp
from detector.protocols import Assignment, Clock
from detector.sources.readings import UNITS, ComputerReader, Reading, rates
from detector.types import Batch, LogFacts, Partition, PlainRecord, Position

PARTITION = Partition("computer", 0)

_NOTHING = dict.fromkeys(UNITS, 0.0)
_WINDOW = 1.0

_log = structlog.get_logger(__name__)


def events_section() -> Events:
    """Return the `events` section that reads what this source hands out."""
    return Events(
        format="json",
        features=[Feature(name=name, unit=unit) for name, unit in UNITS.items()],
        entity="entity",
        timestamp=Timestamp(path="ts", unit="ms"),
    )


class ComputerSource:
    """Samples this computer every `interval`: one partition, which cannot be replayed.

    Offsets go on behind the position that the assignment answers. What happened while the daemon was down, or while
    the source was paused, is lost; so the first second after either is only a beginning. `read` and `wait` are
    psutil and `time.sleep`, but in tests.
    """

    def __init__(
        self,
        config: Section,
        clock: Clock,
        *,
        read: Callable[[], Reading] | None = None,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._interval = config.interval
        self._clock = clock
        self._read = read or ComputerReader(clock)
        self._wait = wait
        self._assignment: Assignment | None = None
        self._owned = False
        self._paused = False
        self._offset = 0
        self._due = clock.monotonic()
        self._readings: deque[Reading] = deque(maxlen=1 + max(1, round(_WINDOW / config.interval)))

    def start(self, assignment: Assignment) -> None:
        """Remember whom to tell; the partition is handed over inside the first `poll`."""
        self._assignment = assignment

    def poll(self, timeout: float) -> Sequence[Batch]:
        """Wait at most `timeout` seconds for the next sample, and return it where it is due by then.

        A signal handler that raises ends the waiting. Raises SourceError where nothing can be read.
        """
        self._take_over()
        ahead = self._due - self._clock.monotonic()
        if self._paused or ahead > timeout:
            self._wait(max(timeout, 0.0))
            return ()
        if ahead > 0:
            self._wait(ahead)
        return self._sample()

    def pause(self) -> None:
        """Take no more samples."""
        self._paused = True
        self._readings.clear()

    def resume(self) -> None:
        """Undo `pause`."""
        self._paused = False

    def commit(self, positions: dict[Partition, Position], store_id: str) -> None:
        """Do nothing: there is no log to tell."""

    @property
    def exhausted(self) -> bool:
        """False: a computer always goes on."""
        return False

    @property
    def replayable(self) -> bool:
        """False: what was not taken is gone."""
        return False

    def close(self) -> None:
        """Give the partition up."""
        if self._owned and self._assignment is not None:
            self._owned = False
            self._assignment.revoked(PARTITION)

    def _take_over(self) -> None:
        if self._owned or self._assignment is None:
            return
        position = self._assignment.assigned(PARTITION, LogFacts())
        self._owned = True
        if position is not None:
            # Inside a record there is no going on: its other rows cannot be had again.
            self._offset = position.offset + (position.row > 0)
            _log.info("computer_not_replayable", goes_on_at=self._offset, lost="what happened since the last run")

    def _sample(self) -> Sequence[Batch]:
        self._readings.append(self._read())
        behind = self._clock.monotonic() - self._due
        self._due += self._interval * (1 + max(0, math.floor(behind / self._interval)))
        if len(self._readings) < (self._readings.maxlen or 0):
            return ()
        values = rates(self._readings[0], self._readings[-1])
        if not values:
            return ()
        now = int(self._clock.now() * 1000)
        events = [{"ts": now, "entity": entity} | _NOTHING | features for entity, features in values.items()]
        record = PlainRecord(self._offset, now, None, msgspec.json.encode(events))
        self._offset += 1
        return (Batch(PARTITION, (record,), self._offset, self._offset),)
