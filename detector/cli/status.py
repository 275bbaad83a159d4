"""`detector status`: what the running daemons of a store do, own and wait for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from detector.cli.live import DEFAULT_TIMEOUT, Json, StoreFolder, Timeout, asked
from detector.cli.options import DEFAULT_CONFIG, ConfigFile

if TYPE_CHECKING:
    from collections.abc import Iterator


def status(
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    as_json: Json = False,
) -> None:
    """Show what the running daemon does: its partitions, their positions and lag, and what it waits for.

    Several daemons may share a store; all of them are shown. Exits 1 where none runs.
    """
    daemons = [answer.result for answer in asked("status", store=store, config=config, seconds=timeout)]
    if as_json:
        typer.echo(json.dumps({"daemons": daemons}))
        return
    for daemon in daemons:
        for line in _lines(daemon):
            typer.echo(line)


def _lines(daemon: dict[str, Any]) -> Iterator[str]:
    since = _time(daemon["started"])
    yield f"detector {daemon['version']}, process {daemon['pid']}, since {since}, preset {daemon['preset']}"
    yield f"  store   {daemon['store']}"
    yield f"  source  {daemon['source']}"
    yield f"  state   {'works' if daemon['ready'] else 'waits'}"
    for reason, detail in daemon["blocked"].items():
        yield f"    {reason}: {detail}"
    if not daemon["partitions"]:
        yield "  owns no partition"
    for partition in daemon["partitions"]:
        yield f"  {partition['partition']}"
        for name, text in _facts(partition):
            yield f"    {name:<11} {text}"


def _facts(partition: dict[str, Any]) -> Iterator[tuple[str, str]]:
    lag = "unknown" if partition["lag"] is None else f"{partition['lag']:,} records"
    yield "position", f"offset {partition['offset']:,}, row {partition['row']}; lag {lag}"
    yield "event time", _time(partition["event_time"])
    yield "model", f"version {partition['model_version']}, block {partition['block']:,}"
    kept, warming = partition["entities_in_memory"], partition["entities_warming_up"]
    yield "entities", f"{partition['entities']:,}, {kept:,} in memory, {warming:,} of them warming up"
    yield "learning", ", ".join(f"{count:,} {mode}" for mode, count in partition["learning"].items())
    if partition["controls_waiting"]:
        controls = (f"{control['kind']} at block {control['at_block']:,}" for control in partition["controls_waiting"])
        yield "to come", ", ".join(controls)


def _time(seconds: float | None) -> str:
    return "none yet" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
