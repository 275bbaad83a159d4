"""`detector check`: whether a configuration can be used, what it would do, and whether what it names is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.options import DEFAULT_CONFIG, ConfigFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from detector.cli.reach import Reached
    from detector.config.sections import Config


def check(
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    connect: Annotated[bool, typer.Option("--connect", help="Also reach broker or file, registry and sinks.")] = False,
) -> None:
    """Validate a configuration and say what the daemon would do with it; nothing is read, written or sent.

    With --connect, the source's file is opened, brokers are asked for metadata, the registry for its subjects, and
    webhooks for a connection (no alert is posted); the host of a service of apprise is resolved. Exit codes: 0 usable;
    2 the configuration is not; 4 the source's broker or file or the registry cannot be reached; 5 a sink cannot (4
    where both).
    """
    from detector.cli.summary import summary  # noqa: PLC0415 - pydantic is slow to import, and `--help` needs none of it
    from detector.config.load import load  # noqa: PLC0415 - as above

    settings = load(config)
    _try_sinks(settings)
    typer.echo(f"{config} is valid.\n")
    for name, text in summary(settings):
        typer.echo(f"{name:<13} {text}")
    if connect:
        from detector.cli.reach import reach  # noqa: PLC0415 - it imports kafka-python, and only --connect needs it

        results = reach(settings)
        typer.echo()
        _print(results)
        failed = [result.exit_code for result in results if result.trouble is not None]
        if failed:
            raise typer.Exit(min(failed))


def _try_sinks(settings: Config) -> None:
    """Raise ConfigError where a template, or what apprise is to know, cannot be used."""
    for number, sink in enumerate(settings.sinks):
        if sink.kind == "apprise":
            from detector.alerts import build  # noqa: PLC0415 - only such a sink needs the library

            build.sink(sink, f"sinks[{number}]", settings.kafka, lambda _: None).close()
        elif getattr(sink, "template", None) is not None or getattr(sink, "template_file", None) is not None:
            from detector.alerts.rendering import rendering  # noqa: PLC0415 - only templates need Jinja2
            from detector.config.sections import WebhookSink  # noqa: PLC0415 - as above

            assert isinstance(sink, WebhookSink), "the others have no templates"
            rendering(sink, f"sinks[{number}]")


def _print(results: Sequence[Reached]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only --connect needs it
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table("reached", "address", "result", box=None, pad_edge=False)
    for result in results:
        said = Text("yes", "green") if result.trouble is None else Text(f"no: {result.trouble}", "red")
        table.add_row(result.what, Text(result.address), said)
    Console(soft_wrap=False).print(table)
