"""What `detector demo --fleet --produce` runs: a simulated fleet whose events go to a Kafka topic as they are due."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol

import typer

from detector.alerts.kafka import KafkaSink, Message
from detector.config.sections import Kafka
from detector.config.units import topic_name
from detector.errors import ConfigError, SinkError
from detector.service import Signals
from detector.sources.fleet_play import Event, Step, play
from detector.sources.simulated_faults import Fault
from detector.sources.simulation import days_of
from detector.types import Attempt, OutboxEntry, Outcome

Deliver = Callable[[Sequence[tuple[OutboxEntry, int]]], list[Attempt]]

_MANY = 1000
"""Events that are sent together while the clock is ahead."""
_LOOK_SECONDS = 0.1
_AGAIN_SECONDS = 1.0


class Topic(Protocol):
    """Where events go."""

    def send(self, events: Sequence[Event]) -> None:
        """Return when all have arrived, or when nothing more is to be sent; SinkError where they never will."""


class Pace:
    """The clock that a fleet is played by: until `stopped`, and until `end` (epoch seconds) where there is one."""

    def __init__(
        self, now: Callable[[], float], sleep: Callable[[float], None], stopped: Callable[[], bool], end: float | None
    ) -> None:
        self.now = now
        self._sleep = sleep
        self._stopped = stopped
        self._end = math.inf if end is None else end

    @property
    def over(self) -> bool:
        """True when nothing more is to be played."""
        return self._stopped() or self.now() >= self._end

    def wait(self, until: float) -> None:
        """Return at `until`, or when it is over."""
        while not self.over and (left := until - self.now()) > 0:
            self._sleep(min(_LOOK_SECONDS, left))


def run(  # noqa: PLR0913 - the options of the command
    topic: str, kafka: Kafka, *, seed: int, hosts: int, speed: float, seconds: float | None
) -> int:
    """Play until a signal, or for so many seconds."""
    try:
        topic_name(topic)
    except ValueError as error:
        message = f"--produce: found {topic!r}, {error}"
        raise ConfigError(message) from error
    signals, begin = Signals(), time.time()
    pace = Pace(time.time, time.sleep, lambda: signals.stop, None if seconds is None else begin + seconds)
    sink = KafkaSink("fleet", topic, kafka, lambda entry: Message(entry.id.encode(), entry.body, []))
    typer.echo(f"a simulated fleet of {hosts} hosts, {speed:g} times as fast as time, goes to topic {topic}")
    with signals.caught():
        try:
            steps = play(days_of(seed, hosts=hosts), hosts=hosts, begin=begin, speed=speed)
            sent = feed(steps, KafkaTopic(sink.deliver_all, topic, pace), pace)
        finally:
            sink.close()
    typer.echo(f"{sent:,} events in {time.time() - begin:.0f} s")
    return 0


def feed(steps: Iterator[Step], topic: Topic, pace: Pace) -> int:
    """Send each step when it is due, those that are late together; returns how many events were, till it is over."""
    sent, waiting = 0, list[Event]()
    for step in steps:
        if step.time > pace.now() or len(waiting) >= _MANY:
            topic.send(waiting)
            sent, waiting = sent + len(waiting), []
        pace.wait(step.time)
        if pace.over:
            break
        for fault in step.faults:
            typer.echo(_told(fault))
        waiting += step.events
    topic.send(waiting)
    return sent + len(waiting)


class KafkaTopic:
    """A topic of a cluster. What fails at once is an error; what fails later is tried again until it arrives."""

    def __init__(self, deliver: Deliver, name: str, pace: Pace) -> None:
        self._deliver = deliver
        self._pace = pace
        self._name = name
        self._arrived = False

    def send(self, events: Sequence[Event]) -> None:
        """Send in order; what fails is sent again until the pace is over."""
        while events:
            entries = [(OutboxEntry(event.key.decode(), "fleet", "event", event.value), 1) for event in events]
            attempts = zip(events, self._deliver(entries), strict=True)
            left = [(event, attempt) for event, attempt in attempts if attempt.outcome is not Outcome.DELIVERED]
            events, failed = [event for event, _ in left], [attempt for _, attempt in left]
            self._arrived = self._arrived or not failed
            if failed and (not self._arrived or failed[0].outcome is Outcome.REFUSED):
                message = (
                    f"events cannot be written: {failed[0].detail}; expected a broker at `kafka.bootstrap_servers` "
                    f"that has the topic {self._name} and takes records: see `detector check --connect`"
                )
                raise SinkError(message)
            if failed:
                typer.echo(f"not written: {failed[0].detail}", err=True)
                self._pace.wait(self._pace.now() + _AGAIN_SECONDS)
                if self._pace.over:
                    return


def _told(fault: Fault) -> str:
    begins, ends = (datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S") for at in (fault.start, fault.end))
    return f"{begins} UTC {fault.host}: {fault.kind.replace('_', ' ')} of {', '.join(fault.features)} until {ends}"
