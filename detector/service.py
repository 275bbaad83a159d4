"""The long-running loop: turns of the pipeline until a signal, and what to do while something is away."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

import structlog

from detector.errors import NoRoomError, RegistryUnavailableError, SourceUnavailableError
from detector.protocols import Clock, Source
from detector.telemetry.health import BlockReason, Health
from detector.telemetry.logs import Rarely

log = structlog.get_logger(__name__)

_POLL_SECONDS = 0.1
_SURVEY_SECONDS = 1.0


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Spare Python's cycle collector the objects that are there for good, inside the block.

    It walks all objects each time that so many were made, as records are: TensorFlow's alone take it a fifth of a
    second. Frozen ones it leaves alone, and what records leave behind are no cycles.
    """
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


@contextmanager
def handing_over_soon() -> Iterator[None]:
    """Let threads wait a millisecond for one that computes, inside the block, rather than Python's five.

    An alert passes four of them between its score and its receiver.
    """
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.001)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


class Turning(Protocol):
    """The pipeline, as the loop sees it."""

    def turn(self, timeout: float) -> int:
        """Take what has come within `timeout` seconds; returns the number of records."""


class Signals:
    """SIGTERM and SIGINT ask the loop to end; a second one ends the process at once.

    `reloads`: SIGHUP asks for a reload, and does not end the process any more.
    """

    def __init__(self, *, reloads: bool = False) -> None:
        self.stop = False
        self._reloads = reloads
        self._reload = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Catch the signals inside the block, and put the old handlers back behind it."""
        old = {number: signal.signal(number, self._asked) for number in (signal.SIGTERM, signal.SIGINT)}
        if self._reloads:
            old[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._asked_to_reload)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # one that came early was held back until now
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)

    def take_reload(self) -> bool:
        """Tell whether a reload was asked for since this was asked last."""
        asked, self._reload = self._reload, False
        return asked

    def _asked_to_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload = True

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        if self.stop:
            os._exit(128 + number)
        self.stop = True


class Service:
    """Runs the pipeline. `waits` tells what the daemon must wait for: (reason, what to say) while it lasts.

    `commands` runs what an operator has asked for, between two turns, whatever the daemon waits for.

    While it waits the source is paused but still polled, so that the daemon stays a member of its group.
    """

    def __init__(  # noqa: PLR0913 - what the loop turns and watches
        self,
        pipeline: Turning,
        source: Source,
        health: Health,
        clock: Clock,
        *,
        waits: Callable[[], dict[BlockReason, str]],
        survey: Callable[[], None],
        commands: Callable[[], None],
    ) -> None:
        self._pipeline = pipeline
        self._source = source
        self._health = health
        self._clock = clock
        self._waits = waits
        self._survey = survey
        self._commands = commands
        self._surveyed = -_SURVEY_SECONDS
        self._said = {reason: Rarely(log, clock.monotonic) for reason in BlockReason}
        self._paused = False
        self._away: dict[BlockReason, str] = {}

    def run(self, stopped: Callable[[], bool]) -> None:
        """Turn until `stopped` or until the source is exhausted."""
        self._health.unblock(BlockReason.STARTING)
        with collecting_rarely(), handing_over_soon():
            while not stopped() and (self._away or not self._source.exhausted):
                self._health.turned()
                self._react()
                self._commands()
                self._turn()

    def _turn(self) -> None:
        try:
            self._pipeline.turn(_POLL_SECONDS)
        except (RegistryUnavailableError, NoRoomError) as error:
            reason = BlockReason.STORE if isinstance(error, NoRoomError) else BlockReason.REGISTRY
            self._away = {reason: str(error)}
        except SourceUnavailableError as error:
            self._wait(BlockReason.SOURCE, str(error))
            return
        else:
            self._away = {}
        self._go_on(BlockReason.SOURCE)

    def _react(self) -> None:
        """Pause while the daemon has to wait for room or receivers; once a second, look at the state of things."""
        waits = self._away | self._waits()
        for reason in (BlockReason.STORE, BlockReason.OUTBOX, BlockReason.DEAD_LETTERS, BlockReason.REGISTRY):
            if reason in waits:
                self._wait(reason, waits[reason])
            else:
                self._go_on(reason)
        if bool(waits) != self._paused:
            self._paused = bool(waits)
            (self._source.pause if waits else self._source.resume)()
        if self._clock.monotonic() - self._surveyed >= _SURVEY_SECONDS:
            self._surveyed = self._clock.monotonic()
            self._survey()

    def _wait(self, reason: BlockReason, detail: str) -> None:
        self._health.block(reason, detail)
        self._said[reason].say("waiting", reason=reason.value, detail=detail)

    def _go_on(self, reason: BlockReason) -> None:
        self._health.unblock(reason)
        self._said[reason].over("going_on", reason=reason.value)
