"""A configuration in a few lines for people. No secret and no URL beyond its host is in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from detector.config.alerting import Alerting
from detector.config.incidents import CALM_ROWS, CALM_TIME, Incidents
from detector.config.secrecy import shown_url
from detector.config.sections import (
    AlertmanagerSink,
    AppriseSink,
    ComputerSource,
    Config,
    FileSource,
    HalfLife,
    Kafka,
    KafkaSink,
    KafkaSource,
    Sink,
    StdoutSink,
    WebhookSink,
)

_MOST_FEATURES = 8
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def summary(config: Config) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of what the daemon would do, in the order of its work."""
    yield "source", _source(config)
    yield "events", _events(config)
    whose = "partition" if config.events.entity is None else f"entity ({config.events.entity}) of each partition"
    yield "model", f"{config.model.centroids} centroids for each {whose}; {_half_life(config.model.half_life)}"
    yield "blocks", f"{config.blocks.rows} rows or {duration(config.blocks.tick)}"
    yield "alerts", _alerts(config.alerting)
    yield "incidents", f"one per {_whose(config)}, {_incidents(config.incidents)}"
    for sink in config.sinks:
        yield "sink", _sink(sink, config.kafka)
    yield from _notification(config)
    topic = f"Kafka topic {config.dead_letters.topic}, and " if config.dead_letters.topic else ""
    yield "dead letters", f"{topic}the store's last {config.dead_letters.keep:,} per partition"
    yield "store", f"{config.store.path}, a checkpoint every {duration(config.checkpoint.interval)}"
    http = config.http
    yield "http", f"http://{http.host}:{http.port}/ (metrics, health)" if http.enabled else "none"


def duration(seconds: float) -> str:
    """Write seconds as people do: 7 d, 1.5 h, 20 ms."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds * 1000:g} ms"


def _notification(config: Config) -> Iterator[tuple[str, str]]:
    for route in config.routes:
        matchers = ", ".join(str(matcher) for matcher in route.matchers) or "everything"
        by = f", by {', '.join(route.group_by)}" if route.group_by else ""
        muted = f", muted in {', '.join(route.mute_times)}" if route.mute_times else ""
        on = "; and on to the next" if route.continue_ else ""
        yield "route", f"{matchers} to {', '.join(route.sinks)}{by}{muted}{on}"
    people = [sink.name for sink in config.sinks if not sink.direct]
    if people:
        own = config.notification
        waits = f"after {duration(own.group_wait)}, changes after {duration(own.group_interval)}"
        again = f"again after {duration(own.repeat_interval)}"
        muted = f"; muted in {', '.join(own.mute_times)}" if own.mute_times else ""
        yield "messages", f"to {', '.join(people)}, by {', '.join(own.group_by)}: {waits}, {again}{muted}"


def _source(config: Config) -> str:
    match config.source:
        case KafkaSource() as source:
            topics = f"topics {', '.join(source.topics)}" if source.topics else f"topics matching {source.pattern}"
            return f"Kafka {_brokers(config.kafka)}: {topics}; group {source.group}, from {source.start}"
        case ComputerSource() as source:
            return f"this computer, every {duration(source.interval)}"
        case FileSource() as source:
            return f"file {source.path}"
        case _:
            assert_never(config.source)


def _brokers(kafka: Kafka) -> str:
    sasl = f"SASL {kafka.sasl.mechanism}" if kafka.sasl else ""
    guarded = " and ".join(part for part in ("TLS" if kafka.tls else "", sasl) if part)
    return ", ".join(kafka.bootstrap_servers) + (f" ({guarded})" if guarded else "")


def _events(config: Config) -> str:
    events = config.events
    names = [feature.name for feature in events.features]
    more = f" and {len(names) - _MOST_FEATURES} more" if len(names) > _MOST_FEATURES else ""
    time = f"{events.timestamp.path} ({events.timestamp.unit})" if events.timestamp.path else "the record's own"
    where = "".join(f", where {path} is {value}" for path, value in events.where.items())
    registry = f" (registry {shown_url(events.registry.url)})" if events.registry else ""
    features = f"{len(names)} feature{'s' if len(names) > 1 else ''}: {', '.join(names[:_MOST_FEATURES])}{more}"
    labels = f"; labels: {', '.join(events.labels)}" if events.labels else ""
    return f"{events.format}{registry}{where}; {features}; time: {time}{labels}"


def _half_life(half_life: HalfLife) -> str:
    parts = [f"{half_life.events:,g} rows"] if half_life.events else []
    parts += [duration(half_life.time)] if half_life.time else []
    return f"half-life {' or '.join(parts)}" if parts else "nothing fades"


def _alerts(alerting: Alerting) -> str:
    if alerting.false_alarm_rate is not None:
        return f"beyond 1 in {1 / alerting.false_alarm_rate:,.0f} normal events"
    return f"{alerting.budget} where nothing is wrong"


def _whose(config: Config) -> str:
    return "partition" if config.events.entity is None else "entity"


def _incidents(incidents: Incidents) -> str:
    opening, resolve = incidents.open_after, incidents.resolve_after
    opens = "the first anomalous row" if opening.of == 1 else f"{opening.rows} anomalous rows of {opening.of}"
    if resolve == "auto":
        return f"from {opens} until {duration(CALM_TIME)} and {CALM_ROWS} rows of calm"
    quiet = [f"{resolve.rows:,} rows"] if resolve.rows else []
    quiet += [duration(resolve.time)] if resolve.time else []
    return f"from {opens} until {' or '.join(quiet)} of calm"


def _sink(sink: Sink, kafka: Kafka) -> str:
    match sink:
        case WebhookSink():
            return f"{sink.name}: webhook {shown_url(sink.url)}, {'signed' if sink.secrets else 'unsigned'}"
        case AlertmanagerSink():
            return f"{sink.name}: Alertmanager {shown_url(sink.url)}, again every {duration(sink.resend_interval)}"
        case AppriseSink():
            return f"{sink.name}: a service through apprise"
        case KafkaSink():
            return f"{sink.name}: Kafka topic {sink.topic} at {_brokers(kafka)}"
        case StdoutSink():
            return f"{sink.name}: standard output"
        case _:
            assert_never(sink)
