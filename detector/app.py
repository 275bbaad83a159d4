"""The composition root: the one place that names concrete classes, and the order in which they begin and end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from detector import decoding
from detector.alerts.raising import Raising
from detector.backlog import Backlog
from detector.config import sections
from detector.config.detection import Detection
from detector.control.channel import Channel
from detector.control.commands import Commands
from detector.feedback import Feedback
from detector.idle import Idle, Reading
from detector.models.partition import PartitionModel
from detector.models.program import Program, fingerprint, shared, use_one_thread
from detector.models.window import WindowLimits
from detector.notification.intake import SINK
from detector.notification.outward import Outward
from detector.observing import Observing
from detector.operating import LearningModes
from detector.outbox_commands import OutboxCommands
from detector.ownership import Load, Ownership
from detector.pipeline import Observer, Pipeline
from detector.protocols import Clock, Decoder, Prepared, Source
from detector.refit.record import Record, write
from detector.refit_commands import RefitCommands
from detector.refitting import Plan, Refitting
from detector.reloading import Reader, Reloading
from detector.said_of import SaidOf
from detector.service import Service, Signals
from detector.sources.computer import ComputerSource
from detector.sources.file import FileSource
from detector.sources.kafka import KafkaSource
from detector.status import Status
from detector.store.continuity import Policy
from detector.store.folder import refit_file
from detector.store.sqlite import SqliteStore
from detector.store.writer import Writer
from detector.telemetry import logs
from detector.telemetry.clock import SystemClock
from detector.telemetry.health import BlockReason, Health
from detector.telemetry.metrics import Metrics
from detector.telemetry.supervisor import Supervisor
from detector.types import Partition
from detector.way_out import WayOut
from detector.web.reload import Reload
from detector.web.server import WebServer

log = structlog.get_logger(__name__)

# Together with a poll (3 s) and a commit (2 s) that a broker leaves unanswered, well within a process manager's 10 s.
_DRAIN_SECONDS = 2.0
_CLOSE_SECONDS = 1.0
_RELOAD_SECONDS = 30.0
"""How long an HTTP request for a reload waits for its turn."""


def run(config: sections.Config, read: Callable[[], sections.Config]) -> int:
    """Run the daemon until SIGTERM, SIGINT or the end of its source; returns the exit status.

    At SIGHUP, or when it is asked, it takes what `read` returns in the place of `config`, as far as that can be.
    """
    logs.configure(config.log)
    signals, supervisor = Signals(reloads=True), Supervisor()
    reader = Reader(read, signals.take_reload)
    with signals.caught(), daemon(config, waiting=supervisor.turned, reader=reader) as built:
        supervisor.ready()
        built.service.run(lambda: signals.stop)
        supervisor.stopping()
        built.health.block(BlockReason.STOPPING, "the daemon stops")
        log.info("stopping", reason="signal" if signals.stop else "the source is exhausted")
    log.info("stopped")
    return 0


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon put together: `service` is what to run; the rest is there for whoever watches."""

    service: Service
    ownership: Ownership
    delivery: Outward
    health: Health
    metrics: Metrics
    address: tuple[str, int] | None


@contextmanager
def daemon(  # noqa: PLR0913, PLR0915 - the composition in one straight line
    config: sections.Config,
    *,
    source: Source | None = None,
    clock: Clock | None = None,
    watch: Callable[[Observing], Observer] = lambda observing: observing,
    waiting: Callable[[], None] = lambda: None,
    reader: Reader | None = None,
) -> Iterator[Daemon]:
    """Put a daemon together, and take it apart in order.

    What can be delivered at the end is; then the source gives its partitions up, so that all is saved and committed.

    `source` stands in for the configured one; `watch` may put an observer of its own in front of the metrics';
    `waiting` is called about once a second. Without `reader` the configuration stays as it is.
    """
    clock = clock or SystemClock()
    with ExitStack() as parts:
        metrics = Metrics()
        health = Health(metrics.blocked, clock.monotonic)
        commands = Commands()
        reload = Reload(partial(commands.ask, "reload", {}, _RELOAD_SECONDS), config.http)
        web = WebServer(config.http, metrics, health, reload)
        if config.http.enabled:
            web.start()
            parts.callback(web.close)
        observing = Observing(metrics, clock.now)
        parts.callback(observing.ended)
        observing.reloaded(successful=True)
        metrics.ask(health.age, partial(_disk, config.store.path))
        store = SqliteStore(
            config.store.path,
            keep_rejects=config.dead_letters.keep,
            keep_events=config.store.keep_events,
            now=clock.now,
        )
        way_out = WayOut(config, parts, clock, observing)
        delivery = way_out.outward
        writer = Writer(delivery.wake, max_alert_delay=config.checkpoint.max_alert_delay, monotonic=clock.monotonic)
        parts.callback(writer.close)
        source = source or _source(config, clock)
        ownership = Ownership(
            store,
            Detection.of(config),
            models=Models(_window(config), config.store.keep_events),
            decoders=partial(_decoder, config),
            writer=writer,
            outboxes=delivery,
            observer=observing,
            clock=clock,
            policy=_policy(config),
            replayable=source.replayable,
            fingerprint=fingerprint(),
            letters_to_topic=config.dead_letters.topic is not None,
            commit=source.commit,
        )
        alerts = Raising(SINK)
        pipeline = Pipeline(
            source,
            ownership.owned,
            alerts=alerts,
            writer=writer,
            observer=watch(observing),
            clock=clock,
            store_id=store.id,
            checkpoint_interval=config.checkpoint.interval,
        )
        backlog = Backlog(config, ownership, writer, delivery)

        idle = Idle(config.absence.idle_after, clock.monotonic, metrics.set_idle)
        plan = Plan.of(config.refit)
        refitting = Refitting(plan, ownership.owned, clock, observing, partial(_keep_refit, config.store.path))
        parts.callback(refitting.close)

        def survey() -> None:
            refitting.turn()
            observing.models(list(ownership.owned.values()))
            delivery.know({partition: len(owned.model.slots) for partition, owned in ownership.owned.items()})
            idle.look(
                [
                    Reading(of, owned.position, owned.model.absences.state.pause)
                    for of, owned in ownership.owned.items()
                ],
                ready=health.ready()[0],
            )
            waiting()

        reloading = Reloading(
            config,
            reader or Reader(lambda: config),
            ownership.reconfigure,
            [
                reload.prepare,
                lambda new: Prepared(lambda: None if new.log == reloading.config.log else logs.configure(new.log)),
                lambda new: Prepared(partial(backlog.accept, new)),
                way_out.prepare,
                lambda new: Prepared(partial(idle.accept, new.absence.idle_after)),
            ],
            observing,
        )
        commands.register("reload", reloading.answer)
        commands.register("status", Status(lambda: reloading.config, ownership.owned, health, clock.now()).answer)
        modes = LearningModes(ownership.owned)
        commands.register("learning set", modes.say)
        commands.register("learning list", modes.tell)
        OutboxCommands(config.store.path, delivery.resume, clock.now).register(commands)
        for name, command in way_out.commands():
            commands.register(name, command)
        said_of = SaidOf(config.store.path, observing.judged)
        Feedback(ownership.owned, last=said_of.last, heard=said_of.heard, now=clock.now).register(commands)
        RefitCommands(refitting, ownership.owned, plan.parameters).register(commands)
        channel = Channel(config.store.path, commands, clock.monotonic)

        def asked() -> None:
            reloading.turn()
            commands.run_pending()

        service = Service(pipeline, source, health, clock, waits=backlog.waits, survey=survey, commands=asked)
        source.start(ownership)
        parts.callback(source.close)
        channel.start()
        parts.callback(channel.close)
        # Before the source: to give a partition up, no receiver that hangs is waited for.
        parts.callback(delivery.close, _CLOSE_SECONDS)
        parts.callback(delivery.drain, _DRAIN_SECONDS)
        parts.callback(lambda: way_out.hurry() if source.exhausted else None)
        parts.callback(ownership.settle)
        yield Daemon(service, ownership, delivery, health, metrics, web.address if config.http.enabled else None)


class Models:
    """Makes models. Those of one shape share its program, which is compiled once."""

    def __init__(self, window: WindowLimits | None = None, keep_events: int = 0) -> None:
        use_one_thread()
        self._window = window
        self._keep_events = keep_events

    def __call__(self, partition: Partition, detection: Detection, load: Load) -> PartitionModel:
        """Make the model of a partition; the first of a shape compiles, which takes seconds."""
        return PartitionModel(
            partition,
            detection,
            programs=_program,
            load=load,
            window=self._window,
            keep_events=self._keep_events,
        )


def _program(detection: Detection) -> Program:
    program = shared(detection)
    program.warm_up()
    return program


def _window(config: sections.Config) -> WindowLimits | None:
    window = config.refit.window
    return WindowLimits(window.rows, window.bytes, window.half_life, window.entities) if window.rows else None


def _keep_refit(folder: Path, partition: Partition, refit: Record) -> None:
    try:
        write(refit_file(folder, partition), refit)
    except OSError as error:  # it is for pictures; what detection needs is in the control record
        log.warning("refit_not_kept", partition=str(partition), why=error.strerror)


def _decoder(config: sections.Config, detection: Detection) -> Decoder:
    """Return a decoder for a configuration in force; where the registry is and who may ask it is this daemon's."""
    return decoding.build(detection.events.model_copy(update={"registry": config.events.registry}))


def _source(config: sections.Config, clock: Clock) -> Source:
    match config.source:
        case sections.KafkaSource():
            return KafkaSource(config.source, config.kafka, clock=clock, record_bytes=config.events.limits.record_bytes)
        case sections.ComputerSource():
            return ComputerSource(config.source, clock)
        case sections.FileSource():
            return FileSource(config.source)


def _disk(folder: Path) -> tuple[float, float]:
    """Return how many bytes are free on the disk of the store, and its size."""
    usage = shutil.disk_usage(folder)
    return float(usage.free), float(usage.total)


def _policy(config: sections.Config) -> Policy:
    return config.source.on_log_changed if isinstance(config.source, sections.KafkaSource) else "stop"
