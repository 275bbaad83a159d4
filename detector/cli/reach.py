"""Reaching what a configuration names, without changing anything there: no record is read, no alert is sent."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

from detector.alerts.targets import TargetNotAllowedError, allowed_address, networks
from detector.config.secrecy import shown_url
from detector.config.sections import (
    AlertmanagerSink,
    AppriseSink,
    Config,
    FileSource,
    KafkaSink,
    KafkaSource,
    Registry,
    Tls,
    WebhookSink,
)
from detector.config.tls import reveal, tls_context
from detector.errors import ConfigError, DetectorError, SinkError, SourceError
from detector.telemetry.clock import SystemClock
from detector.web.binding import bind


@dataclass(frozen=True, slots=True)
class Reached:
    """One attempt: what was to be reached and where; `trouble` is None where it was, and says why not else."""

    what: str
    address: str
    trouble: str | None
    exit_code: int


def reach(config: Config) -> list[Reached]:
    """Try once what a configuration names: file, broker, registry, webhooks, Alertmanagers, hosts of services."""
    return [
        *_file(config),
        *_broker(config),
        *_registry(config),
        *_webhooks(config),
        *_services(config),
        *_listening(config),
    ]


def _listening(config: Config) -> Iterator[Reached]:
    """Take any free port of the address that the daemon is to listen on: its own may be in use by one that runs."""
    if config.http.enabled:
        trouble = None
        try:
            bind(config.http.model_copy(update={"port": 0})).close()
        except DetectorError as error:
            trouble = str(error)
        yield Reached("HTTP to listen", config.http.host, trouble, DetectorError.exit_code)


def _file(config: Config) -> Iterator[Reached]:
    if isinstance(config.source, FileSource):
        trouble = None
        try:
            config.source.path.open("rb").close()
        except OSError as error:
            trouble = _said(error)
        yield Reached("file", str(config.source.path), trouble, SourceError.exit_code)


def _broker(config: Config) -> Iterator[Reached]:
    reads = isinstance(config.source, KafkaSource)
    writes = config.dead_letters.topic is not None or any(isinstance(sink, KafkaSink) for sink in config.sinks)
    if reads or writes:
        from detector.sources.kafka import probe  # noqa: PLC0415 - kafka-python is slow to import

        code = SourceError.exit_code if reads else SinkError.exit_code
        yield Reached("Kafka", ", ".join(config.kafka.bootstrap_servers), probe(config.kafka, SystemClock()), code)


def _registry(config: Config) -> Iterator[Reached]:
    registry = config.events.registry
    if registry is not None:
        yield Reached("schema registry", shown_url(registry.url), _subjects(registry), SourceError.exit_code)


def _subjects(registry: Registry) -> str | None:
    """Ask a registry for its subjects; return what went wrong, or None."""
    try:
        headers = {"Accept": "application/vnd.schemaregistry.v1+json"}
        if registry.username is not None:
            password = reveal(registry.password, "events.registry.password") if registry.password else ""
            pair = base64.b64encode(f"{registry.username}:{password}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        connection = _connection(registry.url, registry.tls, "events.registry.tls", registry.timeout)
        try:
            connection.request("GET", urlsplit(registry.url).path.rstrip("/") + "/subjects", headers=headers)
            response = connection.getresponse()
        finally:
            connection.close()
    except (ConfigError, OSError, HTTPException) as error:
        return _said(error)
    return None if response.status == 200 else f"GET /subjects answered {response.status} {response.reason}"


def _webhooks(config: Config) -> Iterator[Reached]:
    for number, sink in enumerate(config.sinks):
        if isinstance(sink, (WebhookSink, AlertmanagerSink)):
            trouble = _connects(sink, f"sinks[{number}].tls")
            yield Reached(f"{sink.kind} {sink.name}", shown_url(sink.url), trouble, SinkError.exit_code)


def _services(config: Config) -> Iterator[Reached]:
    """Resolve the hosts that apprise's URLs name: only the library knows how to speak to them."""
    for number, sink in enumerate(config.sinks):
        if isinstance(sink, AppriseSink):
            from detector.alerts.apprise import AppriseSink as Service  # noqa: PLC0415 - apprise is slow to import

            trouble = None
            try:
                if not Service(sink, f"sinks[{number}]").judge():
                    continue
            except (ConfigError, TargetNotAllowedError, OSError) as error:
                trouble = _said(error)
            except UnicodeError:
                trouble = "its name cannot be resolved"
            yield Reached(f"apprise {sink.name}", "its host, by name", trouble, SinkError.exit_code)


def _connects(sink: WebhookSink | AlertmanagerSink, place: str) -> str | None:
    """Open a connection, with TLS where the URL has it, and close it; return what went wrong, or None."""
    try:
        host = urlsplit(sink.url).hostname or ""
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        allowed_address(host, [str(one[4][0]) for one in found], networks(sink.allow_networks))
        connection = _connection(sink.url, sink.tls, place, sink.timeout)
        try:
            connection.connect()
        finally:
            connection.close()
    except (ConfigError, TargetNotAllowedError, OSError, HTTPException) as error:
        return _said(error)
    return None


def _connection(url: str, tls: Tls, place: str, timeout: float) -> HTTPConnection:
    parts = urlsplit(url)
    assert parts.hostname is not None  # the section's validator has seen to it
    if parts.scheme == "https":
        return HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=tls_context(tls, place))
    return HTTPConnection(parts.hostname, parts.port, timeout=timeout)


def _said(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return f"its name cannot be resolved ({error.strerror})"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
