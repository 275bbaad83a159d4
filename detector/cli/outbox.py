"""`detector outbox`: the messages that wait for their delivery, and those that were given up."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detector.cli.live import DEFAULT_TIMEOUT, Json, StoreFolder, Timeout, asked_or_done, folder, show
from detector.cli.options import DEFAULT_CONFIG, ConfigFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from detector.store.waiting import Choice, Waiting


class State(StrEnum):
    """What became of a message that is in an outbox."""

    QUEUED = "queued"
    REFUSED = "refused"
    GONE = "gone"


Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids of messages, as `list` shows them.")]
SinkName = Annotated[str | None, typer.Option("--sink", metavar="NAME", help="Only messages for this sink.")]
StateName = Annotated[
    State | None, typer.Option("--state", help="Only those that wait, were refused or given up, or met a sink's end.")
]

app = typer.Typer(
    no_args_is_help=True,
    help="Look at the messages that wait for their delivery or were given up, try them again, or drop them.",
    rich_markup_mode=None,
)


@app.command("list")
def list_(  # noqa: PLR0913 - the options of a command
    sink: SinkName = None,
    state: StateName = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="COUNT", help="Show so many at most.")] = 50,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    as_json: Json = False,
) -> None:
    """List messages, oldest first: id, sink, state, age, attempts, and what the receiver said last."""
    from detector.store.waiting import Choice, listed  # noqa: PLC0415 - `--help` needs no store

    path = folder(store, config)
    if store is None:  # else nobody knows which sinks there are, and that nothing waits for one is an answer
        _expect_known(sink, path, config)
    found, count = listed(path, Choice((), sink, state), limit)
    now = time.time()
    document = {"count": count, "messages": [_told(each) for each in found]}
    show(document, _table(found, count, now), as_json=as_json)


@app.command("show")
def show_(
    message: Annotated[str, typer.Argument(metavar="ID", help="The message's id, as `list` shows it.")],
    sink: SinkName = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    as_json: Json = False,
) -> None:
    """Show a message whole, for each sink that it waits for."""
    from detector.errors import CommandError  # noqa: PLC0415 - `--help` needs no store
    from detector.store.waiting import Choice, listed  # noqa: PLC0415 - as above

    path = folder(store, config)
    found, _ = listed(path, Choice((message,), sink), 1000)
    if not found:
        text = f"{message}: no outbox of {path} holds a message of this id{_but_for(Choice(sink=sink))}"
        raise CommandError(text)
    document = {"messages": [_told(each) | {"body": _body(each)} for each in found]}
    show(document, (line for each in found for line in _lines(each)), as_json=as_json)


@app.command()
def retry(  # noqa: PLR0913 - the options of a command
    ids: Ids = None,
    sink: SinkName = None,
    state: StateName = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    timeout: Timeout = DEFAULT_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Try messages again at once, also those that were given up, and sinks whose receiver was down or gone.

    Name messages, or a sink. A running daemon begins immediately; a stopped one does when it starts.
    """
    payload = {"ids": ids, "sink": sink, "state": state}
    count = _changed("retry", payload, store, config, timeout)
    _show_count(count, "will be tried again", as_json=as_json)


@app.command()
def drop(  # noqa: PLR0913 - the options of a command
    ids: Ids = None,
    sink: SinkName = None,
    state: StateName = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    timeout: Timeout = DEFAULT_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Delete messages for good: they will not be sent.

    Name messages, or a sink. One that is on its way to its receiver at this moment may still arrive.
    """
    payload = {"ids": ids, "sink": sink, "state": state}
    count = _changed("drop", payload, store, config, timeout)
    _show_count(count, "dropped", as_json=as_json)


def _expect_known(sink: str | None, path: Path, config: Path | None) -> None:
    """Refuse the name of a sink for which nothing waits, and that the configuration (where there is one) lacks."""
    from detector.config.load import load  # noqa: PLC0415 - `--help` needs none of it
    from detector.errors import CommandError  # noqa: PLC0415 - as above
    from detector.store.waiting import sinks  # noqa: PLC0415 - as above

    if sink is None or sink in (waiting := sinks(path)):
        return
    configured = load(config).outboxes() if config is not None else []
    if sink not in configured:
        known = ", ".join(dict.fromkeys([*configured, *sorted(waiting)])) or "none"
        message = f"{sink}: nothing in {path} waits for a sink of this name; those that are known: {known}"
        raise CommandError(message)


def _show_count(count: int, what: str, *, as_json: bool) -> None:
    show({"messages": count}, [f"{count:,} message{'' if count == 1 else 's'} {what}"], as_json=as_json)


def _changed(what: str, payload: dict[str, Any], store: Path | None, config: Path, seconds: float) -> int:
    """Ask the running daemons; where none runs, do it here. Returns how many messages it was done to."""
    from detector import outbox_commands  # noqa: PLC0415 - `--help` needs no store
    from detector.errors import CommandError  # noqa: PLC0415 - as above
    from detector.store.waiting import missing  # noqa: PLC0415 - as above

    path = folder(store, config)
    _expect_known(None if payload["ids"] else payload["sink"], path, None if store is not None else config)
    choice = outbox_commands.chosen(payload)
    if unknown := missing(path, choice):
        message = (
            f"{', '.join(unknown)}: no outbox of {path} holds a message of this id{_but_for(choice)}; none was touched"
        )
        raise CommandError(message)

    def here(payload: dict[str, Any]) -> dict[str, Any]:
        if what == "retry":
            return outbox_commands.retry(path, payload, time.time())
        return outbox_commands.drop(path, payload)

    # Daemons that share a folder share its files: who comes second finds nothing left to do, or does it again.
    told = asked_or_done(f"outbox {what}", payload, path=path, seconds=seconds, here=here, all_of_them=True)
    return max(int(answer["messages"]) for answer in told)


def _but_for(choice: Choice) -> str:
    for_sink = f" for {choice.sink}" if choice.sink is not None else ""
    return for_sink + (f" that is {choice.state}" if choice.state is not None else "")


def _table(found: list[Waiting], count: int, now: float) -> Iterator[str]:
    from detector.alerts.words import time_in_words  # noqa: PLC0415 - `--help` needs none of it

    yield f"{count:,} message{'' if count == 1 else 's'}" + (
        f", the oldest {len(found)}:" if len(found) < count else ""
    )
    for where, kept in found:
        said = f", last {kept.code}: {kept.detail}" if kept.code else ""
        tried = f"{kept.attempts} attempt{'' if kept.attempts == 1 else 's'}{said}"
        due = f", again in {time_in_words(kept.due - now)}" if kept.state == State.QUEUED and kept.due > now else ""
        age = time_in_words(max(now - kept.created, 0.0))
        yield f"{kept.entry.id}  {kept.entry.sink}  {kept.state} for {age}{due}; {tried}  ({where})"


def _lines(each: Waiting) -> Iterator[str]:
    told = _told(each)
    for name, value in told.items():
        yield f"{name:<9} {value}"
    yield json.dumps(_body(each), indent=2, ensure_ascii=False)


def _told(each: Waiting) -> dict[str, Any]:
    where, kept = each
    return {
        "id": kept.entry.id,
        "sink": kept.entry.sink,
        "kind": kept.entry.kind,
        "state": kept.state,
        "created": _time(kept.created),
        "due": _time(kept.due) if kept.due else "at once",
        "attempts": kept.attempts,
        "code": kept.code,
        "detail": kept.detail,
        "bytes": len(kept.entry.body),
        "outbox": where,
    }


def _body(each: Waiting) -> Any:
    """Return the body: JSON as it is, a dead letter as where it stood and why it was rejected."""
    from detector.alerts import dead_letters  # noqa: PLC0415 - `--help` needs none of it

    entry = each.kept.entry
    if entry.kind != dead_letters.KIND:
        return json.loads(entry.body)
    letter = dead_letters.decode(entry.body)
    place = f"{letter.partition}/{letter.offset}"
    return {"record": place, "rows": letter.rows, "reasons": letter.reasons, "detail": letter.detail}


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
