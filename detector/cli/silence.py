"""`detector silence`: keep incidents from people for a while."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.cli.live import DEFAULT_TIMEOUT, Json, StoreFolder, Timeout, asked_or_done, folder, login, show
from detector.cli.options import DEFAULT_CONFIG, ConfigFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

app = typer.Typer(
    no_args_is_help=True,
    help="Keep incidents from people for a while. What is silenced is still an incident: it is counted, and told when "
    "the silence is over while it is open. Where no daemon runs, the store's file is written, for its next start.",
    rich_markup_mode=None,
)


@app.command()
def add(  # noqa: PLR0913 - the options of a command
    matchers: Annotated[
        list[str],
        typer.Argument(
            metavar="MATCHER...",
            help="All must hold: entity=db-1, entity=~'db-.*', severity!=critical, topic!~'test-.*'; labels are topic, "
            "partition, entity, severity, kind, and those of events.labels and notification.entity_labels.",
        ),
    ],
    *,
    comment: Annotated[str, typer.Option("--comment", "-m", metavar="TEXT", help="Why, for those who come after.")],
    for_: Annotated[str | None, typer.Option("--for", metavar="TIME", help="How long: 30m, 2h, 7d.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="WHEN", help="Until when, instead: 2026-12-01T08:00:00Z.")
    ] = None,
    from_: Annotated[str | None, typer.Option("--from", metavar="WHEN", help="From when on; else from now on.")] = None,
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who says so; else the login name.")] = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    timeout: Timeout = DEFAULT_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Silence incidents whose labels match."""
    payload = {
        "matchers": matchers,
        "seconds": _seconds(for_),
        "until": _instant(until, "--until"),
        "from": _instant(from_, "--from"),
        "author": by or login(),
        "comment": comment,
    }
    told = _asked("silence add", payload, store=store, config=config, seconds=timeout)
    show(told, _lines([told["silence"]]), as_json=as_json)


@app.command("list")
def list_(
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    expired: Annotated[
        bool, typer.Option("--expired", help="Those too that are over, as long as they are kept (five days).")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the silences that are active or pending."""
    told = _asked("silence list", {"expired": expired}, store=store, config=config, seconds=timeout)
    show(told, _lines(told["silences"]), as_json=as_json)


@app.command()
def expire(
    ids: Annotated[list[str], typer.Argument(metavar="ID...", help="As `detector silence list` tells them.")],
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    as_json: Json = False,
) -> None:
    """End silences now: incidents that they kept from people, and that are still open, are told."""
    told = _asked("silence expire", {"ids": ids}, store=store, config=config, seconds=timeout)
    show(told, _lines(told["silences"]), as_json=as_json)


def _asked(
    command: str, payload: dict[str, Any], *, store: Path | None, config: Path, seconds: float
) -> dict[str, Any]:
    """Ask a daemon of the store, or do it in the store's file where none runs."""
    path = folder(store, config)
    done = _looked_up if command == "silence list" else partial(_written, command, config=config)
    (told,) = asked_or_done(command, payload, path=path, seconds=seconds, here=partial(done, path=path))
    return told


def _looked_up(payload: dict[str, Any], *, path: Path) -> dict[str, Any]:
    from detector.notification.silence_commands import listed  # noqa: PLC0415 - `--help` needs no store
    from detector.store.folder import read_id  # noqa: PLC0415 - as above
    from detector.store.notification import file_in, view  # noqa: PLC0415 - as above

    read_id(path)
    if not file_in(path).exists():
        return {"silences": []}
    with view(path) as sqlite:
        return listed(sqlite, file_in(path), payload, time.time())


def _written(command: str, payload: dict[str, Any], *, path: Path, config: Path) -> dict[str, Any]:
    from contextlib import closing  # noqa: PLC0415 - `--help` needs none of it

    from detector.config.load import load  # noqa: PLC0415 - as above
    from detector.notification.silence_commands import SilenceCommands, commands_of  # noqa: PLC0415 - as above
    from detector.store.folder import read_id  # noqa: PLC0415 - as above
    from detector.store.notification import NotificationFile  # noqa: PLC0415 - as above

    read_id(path)  # a folder that holds no store is a mistake, and must not become one
    with closing(NotificationFile(path, keep_given_up=_KEEP_GIVEN_UP)) as file:
        commands = SilenceCommands(file.file, file.connect(), time.time, lambda: load(config).labels())
        return dict(commands_of(commands))[command](payload)


_KEEP_GIVEN_UP = 10_000
"""Nothing is delivered here, so nothing is given up."""


def _lines(silences: Iterable[dict[str, Any]]) -> Iterator[str]:
    for silence in silences:
        yield f"{silence['id']}  {silence['state']}, {silence['from']} to {silence['until']}"
        yield f"  {', '.join(silence['matchers'])}"
        yield f"  {silence['author']}: {' '.join(silence['comment'].split())}"


def _seconds(given: str | None) -> float | None:
    if given is None:
        return None
    from detector.config.units import seconds  # noqa: PLC0415 - pydantic is slow to import

    try:
        found = seconds(given)
    except ValueError as error:
        message = f"--for {given}: {error}"
        raise typer.BadParameter(message) from None
    assert isinstance(found, float)
    return found


def _instant(given: str | None, option: str) -> float | None:
    if given is None:
        return None
    from detector.config.units import instant  # noqa: PLC0415 - pydantic is slow to import

    try:
        return instant(given)
    except ValueError as error:
        message = f"{option} {given}: {error}"
        raise typer.BadParameter(message) from None
