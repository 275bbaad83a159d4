"""`detector state`: look at the store, and move partitions."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detector.cli.live import folder as _folder
from detector.cli.options import DEFAULT_CONFIG, ConfigFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from detector.store.inspect import Contents
    from detector.types import DeadLetter, Partition

StoreFolder = Annotated[
    Path | None, typer.Option("--store", metavar="FOLDER", help="The store; else the configuration's `store.path`.")
]
PartitionName = Annotated[str, typer.Argument(metavar="TOPIC/NUMBER", help="The partition, such as metrics/0.")]

app = typer.Typer(
    no_args_is_help=True,
    help="Check, show, export and import the state of partitions. Only to import must no daemon have the partition.",
    rich_markup_mode=None,
)


@app.command()
def check(store: StoreFolder = None, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Verify every checksum of the store. Exits 3 and lists what is damaged, if anything is."""
    from detector.errors import StoreDamagedError  # noqa: PLC0415 - it goes with the next ones
    from detector.store import folder, inspect  # noqa: PLC0415 - `--help` needs no store

    path = _folder(store, config)
    findings = inspect.check(path)
    if findings:
        raise StoreDamagedError("\n".join(finding.problem for finding in findings))
    typer.echo(f"{path}: nothing is damaged; partitions: {', '.join(map(str, folder.partitions(path))) or 'none'}")


@app.command()
def show(
    partition: Annotated[
        str | None, typer.Argument(metavar="[TOPIC/NUMBER]", help="One partition, such as metrics/0; else all.")
    ] = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Show what the store holds of one partition, or of all."""
    from detector.store import folder, inspect  # noqa: PLC0415 - `--help` needs no store

    path = _folder(store, config)
    typer.echo(f"store {folder.read_id(path)} in {path}")
    for each in [_named(partition)] if partition is not None else folder.partitions(path):
        typer.echo(f"\n{each}")
        for name, text in _lines(inspect.show(path, each)):
            typer.echo(f"  {name:<15} {text}")


@app.command("dead-letters")
def dead_letters(partition: PartitionName, store: StoreFolder = None, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Print a partition's rejected records as JSON lines, oldest first: where, why, and what they hold.

    Bytes that are not UTF-8 text come as base64, in `key_base64` and `value_base64`.
    """
    from detector.store import inspect  # noqa: PLC0415 - `--help` needs no store

    for letter in inspect.dead_letters(_folder(store, config), _named(partition)):
        typer.echo(json.dumps(_told(letter), ensure_ascii=False))


@app.command()
def export(
    partition: PartitionName,
    file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")],
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Write all state of a partition, as of its last checkpoint, to one portable file."""
    from detector.store import inspect  # noqa: PLC0415 - `--help` needs no store

    inspect.export(_folder(store, config), _named(partition), file)
    typer.echo(f"{partition} is in {file}")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What `detector state export` wrote.")],
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the partition's state, if it has any.")
    ] = False,
) -> None:
    """Take a partition's state from a file into the store, whole or not at all."""
    from detector.store import inspect  # noqa: PLC0415 - `--help` needs no store

    path = _folder(store, config)
    typer.echo(f"{inspect.import_(file, path, overwrite=overwrite)} is in {path}")


def _named(partition: str) -> Partition:
    from detector.types import Partition  # noqa: PLC0415 - it imports NumPy, which `--help` does not need

    topic, _, number = partition.rpartition("/")
    if not topic or not (number.isascii() and number.isdecimal()):
        message = f"{partition!r} is no partition; expected TOPIC/NUMBER, such as metrics/0"
        raise typer.BadParameter(message)
    return Partition(topic, int(number))


def _lines(contents: Contents) -> Iterator[tuple[str, str]]:
    checkpoint = contents.checkpoint
    yield "file", f"{contents.file}, {contents.bytes:,} bytes"
    if checkpoint is None:
        yield "checkpoint", "none yet"
    else:
        position = f"offset {checkpoint.position.offset}, row {checkpoint.position.row}"
        yield "checkpoint", f"{position}, block {checkpoint.block}, {len(checkpoint.header):,} bytes of header"
        yield "topic id", checkpoint.topic_id or "none"
        yield "written by", checkpoint.fingerprint
    through = contents.alerts_through
    yield "alerts through", f"offset {through.offset}, row {through.row}, block {contents.alerts_through_block}"
    seen = "" if contents.oldest is None else f", seen {_time(contents.oldest)} to {_time(contents.newest)}"
    yield "entities", f"{contents.entities:,}{seen}"
    yield "control records", ", ".join(f"{c.kind} at block {c.boundary}" for c in contents.controls) or "none"
    for sink, (entries, oldest, size) in sorted(contents.backlog.items()):
        if entries:
            yield "outbox", f"{entries:,} for {sink}, {size:,} bytes, the oldest of {_time(oldest)}"
    yield "given up", f"{contents.given_up:,} messages"
    yield "dead letters", f"{contents.dead_letters:,}"


def _told(letter: DeadLetter) -> dict[str, object]:
    content: dict[str, object] = {}
    for name, given in (("key", letter.key), ("value", letter.value)):
        try:
            content[name] = None if given is None else given.decode()
        except UnicodeDecodeError:
            content[f"{name}_base64"] = base64.b64encode(given or b"").decode()
    return {
        "topic": letter.partition.topic,
        "partition": letter.partition.number,
        "offset": letter.offset,
        "timestamp": letter.timestamp,
        "rows": letter.rows,
        "reasons": letter.reasons,
        "detail": letter.detail,
        "headers": [
            [name, None if value is None else value.decode(errors="replace")] for name, value in letter.headers
        ],
        **content,
    }


def _time(seconds: float | None) -> str:
    return "never" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
