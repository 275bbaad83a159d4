"""`detector demo`: the whole daemon without Kafka, on this computer's own load or on a simulated fleet.

With --produce the fleet is no demo of its own: its events go to Kafka, for a daemon that runs there.
"""

from __future__ import annotations

from typing import Annotated

import typer

from detector.cli.early import end_in_order_at_signals
from detector.cli.options import DEFAULT_CONFIG, ConfigFile

_SPEED = 60.0


def demo(  # noqa: PLR0913 - the options of a command
    context: typer.Context,
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    fleet: Annotated[bool, typer.Option("--fleet", help="Replay a simulated fleet with labelled faults.")] = False,
    seconds: Annotated[float | None, typer.Option(min=0.0, help="End by itself after so long; else Ctrl-C.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="With --fleet: the simulation's seed.")] = 0,
    hosts: Annotated[int, typer.Option(min=1, help="With --fleet: number of hosts.")] = 50,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="With --fleet: a setting, as model.relations=auto."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="With --fleet: results as JSON on the last line.")] = False,
    produce: Annotated[
        str | None,
        typer.Option(metavar="TOPIC", help="With --fleet: write its events to a topic of the configuration's Kafka."),
    ] = None,
    speed: Annotated[
        float, typer.Option(min=1.0, max=3600.0, help="With --produce: how many times as fast as time.")
    ] = _SPEED,
) -> None:
    """Show the detector at work, without Kafka: this computer as the source, or a simulated fleet.

    It learns for a moment, then shows rate, score, top features and the alerts that its own webhook receiver gets.
    Nothing is left behind. With --fleet it ends with a table: faults injected, found and missed, false alarms, median
    time to detect, events per second.

    With --fleet --produce TOPIC nothing is detected here: a day of the fleet is written at once, as the past, and then
    its events as they come, for a daemon to read. JSON, keyed by host; what breaks is told on standard output.
    """
    if as_json and (not fleet or produce is not None):
        message = "--json goes with --fleet, and not with --produce"
        raise typer.BadParameter(message)
    if not fleet and produce is not None:
        message = "--produce goes with --fleet"
        raise typer.BadParameter(message)
    if given and (not fleet or produce is not None):
        message = "--set goes with --fleet, and not with --produce"
        raise typer.BadParameter(message)
    if produce is None and speed != _SPEED:
        message = "--speed goes with --fleet --produce TOPIC"
        raise typer.BadParameter(message)
    given_by = context.get_parameter_source("config")
    if produce is None and given_by is not None and given_by.name == "COMMANDLINE":  # and not by the environment
        message = "--config goes with --fleet --produce TOPIC: a demo by itself brings all that it needs"
        raise typer.BadParameter(message)
    end_in_order_at_signals()
    if produce is not None:
        from detector.cli import demo_produce  # noqa: PLC0415 - `--help` needs none of it
        from detector.config.load import load  # noqa: PLC0415 - likewise

        kafka = load(config).kafka
        raise typer.Exit(demo_produce.run(produce, kafka, seed=seed, hosts=hosts, speed=speed, seconds=seconds))
    from detector.quality import presets  # noqa: PLC0415 - it imports NumPy

    settings = presets.settings(given or [])
    from detector.cli import demo_run  # noqa: PLC0415 - it imports TensorFlow

    if fleet:
        raise typer.Exit(demo_run.run_fleet(settings, seed=seed, hosts=hosts, seconds=seconds, as_json=as_json))
    raise typer.Exit(demo_run.run_computer(seconds))
