"""`detector demo`: the whole daemon without Kafka, on this computer's own load or on a simulated fleet."""

from __future__ import annotations

from typing import Annotated

import typer

from detector.cli.early import end_in_order_at_signals


def demo(
    *,
    fleet: Annotated[bool, typer.Option("--fleet", help="Replay a simulated fleet with labelled faults.")] = False,
    seconds: Annotated[float | None, typer.Option(min=0.0, help="End by itself after so long; else Ctrl-C.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="With --fleet: the simulation's seed.")] = 0,
    hosts: Annotated[int, typer.Option(min=1, help="With --fleet: number of hosts.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="With --fleet: results as JSON on the last line.")] = False,
) -> None:
    """Show the detector at work, without Kafka: this computer as the source, or a simulated fleet.

    It learns for a moment, then shows rate, score, top features and the alerts that its own webhook receiver gets.
    Nothing is left behind. With --fleet it ends with a table: faults injected, found and missed, false alarms, median
    time to detect, events per second.
    """
    if as_json and not fleet:
        message = "--json goes with --fleet"
        raise typer.BadParameter(message)
    end_in_order_at_signals()
    from detector.cli import demo_run  # noqa: PLC0415 - it imports TensorFlow

    if fleet:
        raise typer.Exit(demo_run.run_fleet(seed=seed, hosts=hosts, seconds=seconds, as_json=as_json))
    raise typer.Exit(demo_run.run_computer(seconds))
