"""`detector learning`: which entities of a running daemon learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.cli.live import DEFAULT_TIMEOUT, Json, StoreFolder, Timeout, asked, partitions_of, show
from detector.cli.options import DEFAULT_CONFIG, ConfigFile

if TYPE_CHECKING:
    from collections.abc import Iterator

PartitionName = Annotated[
    str | None, typer.Option("--partition", metavar="TOPIC/NUMBER", help="One partition; else all that are meant.")
]

app = typer.Typer(
    no_args_is_help=True,
    help="Tell a running daemon which entities learn, are frozen, or have what alerts kept in quarantine.",
    rich_markup_mode=None,
)


@app.command("set")
def set_(  # noqa: PLR0913 - the options of a command
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[ENTITY] MODE",
            help="An entity or a pattern such as 'db-*' (or --all), and learn, freeze, quarantine or default.",
        ),
    ],
    partition: PartitionName = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="All entities; replaces what was said of single ones before.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say how an entity learns, from the next block on, for good: it outlives restarts and goes before the file.

    learn: rows are learned. freeze: rows are scored, not learned. quarantine: nothing that alerts is learned until it
    has turned out to be a new normal. default: what the configuration says. What was said last counts.
    """
    if len(words) != 2 - everything:
        message = "expected an entity and a mode, or --all and a mode: `detector learning set db-1 freeze`"
        raise typer.BadParameter(message)
    pattern, mode = ("*", words[0]) if everything else words
    payload = {"pattern": pattern, "mode": mode, "partition": partition}
    told = partitions_of(asked("learning set", payload, store=store, config=config, seconds=timeout))
    lines = (f"{each['partition']}: {pattern} {mode}, from block {each['at_block']:,} on" for each in told)
    show({"pattern": pattern, "mode": mode, "partitions": told}, lines, as_json=as_json)


@app.command("list")
def list_(  # noqa: PLR0913 - the options of a command
    entity: Annotated[str | None, typer.Argument(metavar="[ENTITY]", help="Tell the mode of this entity.")] = None,
    partition: PartitionName = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    as_json: Json = False,
) -> None:
    """Show what configuration and operators say of learning, and how many entities in memory have which mode."""
    payload = {"entity": entity, "partition": partition}
    listed = partitions_of(asked("learning list", payload, store=store, config=config, seconds=timeout))
    show({"partitions": listed}, (line for each in listed for line in _lines(each)), as_json=as_json)


def _lines(listed: dict[str, Any]) -> Iterator[str]:
    yield listed["partition"]
    for name, text in _facts(listed):
        yield f"  {name:<14} {text}"


def _facts(listed: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "entity" in listed:
        entity = listed["entity"]
        yield entity["name"], entity["mode"] if entity["known"] else f"{entity['mode']}, but not known yet"
    configured = "".join(f"; {pattern} {mode}" for pattern, mode in listed["configured"].items())
    yield "configuration", f"{listed['default']}{configured}"
    yield "said since", "; ".join(f"{pattern} {mode}" for pattern, mode in listed["said"].items()) or "nothing"
    for record in listed["waiting"]:
        yield "to come", f"{record['pattern']} {record['mode']}, at block {record['at_block']:,}"
    yield "in memory", ", ".join(f"{count:,} {mode}" for mode, count in listed["entities"].items())
    yield "in quarantine", f"{listed['rows_quarantined']:,} rows"
