"""What the commands that ask a running daemon share."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.errors import DaemonAwayError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from detector.control.wire import Answer

StoreFolder = Annotated[
    Path | None,
    typer.Option("--store", metavar="FOLDER", help="The daemon's store; else the configuration's `store.path`."),
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=0.1, max=600.0, metavar="SECONDS", help="How long to wait for the daemon.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]

DEFAULT_TIMEOUT = 30.0


def asked(
    command: str, payload: dict[str, Any] | None = None, *, store: Path | None, config: Path, seconds: float
) -> list[Answer]:
    """Ask the daemons of a store (named, or that of the configuration), and return the answers of those concerned."""
    from detector.control.asking import ask  # noqa: PLC0415 - `--help` needs none of it

    return ask(folder(store, config), command, payload, seconds=seconds)


def asked_or_done(  # noqa: PLR0913 - what is asked, and of whom
    command: str,
    payload: dict[str, Any],
    *,
    path: Path,
    seconds: float,
    here: Callable[[dict[str, Any]], dict[str, Any]],
    all_of_them: bool = False,
) -> list[dict[str, Any]]:
    """Ask a daemon of the store at `path`, or all of them; where none runs, do it `here`. Returns what was answered."""
    from detector.control.asking import ask, ask_one  # noqa: PLC0415 - `--help` needs none of it

    try:
        if all_of_them:
            return [answer.result for answer in ask(path, command, payload, seconds=seconds)]
        return [ask_one(path, command, payload, seconds=seconds).result]
    except DaemonAwayError as error:
        if not error.none_runs:
            raise
    return [here(payload)]


def partitions_of(answers: list[Answer]) -> list[dict[str, Any]]:
    """Return what the daemons answered, partition by partition."""
    return [each for answer in answers for each in answer.result["partitions"]]


def show(document: dict[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
    """Print an answer: the document for programs, or the lines for people."""
    for line in [json.dumps(document)] if as_json else lines:
        typer.echo(line)


def folder(store: Path | None, config: Path) -> Path:
    """Return the store's folder; StoreError where this user may not look into it."""
    if store is None:
        from detector.config.load import load  # noqa: PLC0415 - not needed with --store

        store = load(config).store.path
    try:
        (store / "store.json").stat()
    except PermissionError as error:
        message = f"{store}: cannot be used ({error.strerror}): check the path (store.path?) and its permissions."
        raise StoreError(message) from error
    except OSError:
        pass  # that there is none is told by what reads it
    return store


def login() -> str:
    """Return the name of this system's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as containers have
        message = "this user has no name here: say who you are with --by NAME"
        raise typer.BadParameter(message) from None
