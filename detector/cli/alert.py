"""`detector alert`: whether an alert would arrive."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.live import Json
from detector.cli.options import DEFAULT_CONFIG, ConfigFile

if TYPE_CHECKING:
    from detector.config.sections import Config, Sink
    from detector.types import OutboxEntry

app = typer.Typer(no_args_is_help=True, help="Try the ways out.", rich_markup_mode=None)


@app.callback()
def alert() -> None:
    """Try the ways out."""


@app.command("test")
def try_(
    sink: Annotated[str, typer.Option("--sink", metavar="NAME", help="The sink's name in the configuration.")],
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    resolve: Annotated[
        bool,
        typer.Option("--resolve", help="Send the end of it: an incident that is over, rather than one that opens."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Send a sample through a sink, once, as it is configured, and say what its receiver made of it.

    It is an incident of the entity and topic `detector-test`; its summary begins with "TEST, nothing is wrong", and
    bodies in JSON have `"test": true`. No daemon needs to run, and nothing is kept of it. Exit codes: 0 the receiver
    took it; 2 the sink cannot be used as it is configured; 5 the receiver did not take it.
    """
    from detector.alerts import build  # noqa: PLC0415 - `--help` needs none of it
    from detector.alerts.sample import sample  # noqa: PLC0415 - as above
    from detector.config.load import load  # noqa: PLC0415 - as above
    from detector.errors import SinkError  # noqa: PLC0415 - as above
    from detector.types import Outcome  # noqa: PLC0415 - as above

    settings = load(config)
    given, place = _named(settings, sink)
    message = sample(sink, time.time(), resolved=resolve)
    if not getattr(given, "direct", True):  # an Alertmanager always gets each alert by itself
        message = _for_people(message)
    made = build.sink(given, place, settings.kafka, lambda _: None)
    began = time.monotonic()
    try:
        attempt = made.deliver(message, 1)
    finally:
        made.close()
    seconds, taken = time.monotonic() - began, attempt.outcome is Outcome.DELIVERED
    if as_json:
        told = {"sink": sink, "delivered": taken, "code": attempt.code, "detail": attempt.detail, "seconds": seconds}
        typer.echo(json.dumps(told))
    elif taken:
        typer.echo(f"{sink}: the receiver took it ({attempt.code}, {seconds:.2f} s)")
    if not taken:
        trouble = f"{sink}: not taken ({attempt.code}): {attempt.detail}"
        raise SinkError(trouble)


def _for_people(entry: OutboxEntry) -> OutboxEntry:
    """Return the message that people would get of a sample alone in its group."""
    import msgspec  # noqa: PLC0415 - `--help` needs none of it

    from detector.notification.intake import incident_of  # noqa: PLC0415 - as above
    from detector.notification.message import KIND, Content, encode  # noqa: PLC0415 - as above
    from detector.types import KnownIncident  # noqa: PLC0415 - as above

    incident = incident_of(entry, time.time())
    assert isinstance(incident, KnownIncident)
    content = Content(
        id=entry.id,
        labels={"topic": incident.partition.topic},
        firing=[incident] if incident.open else [],
        over=[] if incident.open else [incident],
        bodies={incident.id: entry.body},
        fresh=int(incident.open),
        repeat=False,
        fleet=None,
        fleet_over=None,
        similar=[],
        verdicts={},
        now=incident.changed,
    )
    document = msgspec.json.decode(encode(content)) | {"test": True}
    return entry._replace(kind=KIND, body=msgspec.json.encode(document))


def _named(config: Config, name: str) -> tuple[Sink, str]:
    """Return the settings of a sink and their YAML path."""
    from detector.errors import ConfigError  # noqa: PLC0415 - `--help` needs none of it

    for number, settings in enumerate(config.sinks):
        if settings.name == name:
            return settings, f"sinks[{number}]"
    known = ", ".join(settings.name for settings in config.sinks) or "none"
    message = f"--sink {name}: the configuration has no sink of this name; it has: {known}"
    raise ConfigError(message)
