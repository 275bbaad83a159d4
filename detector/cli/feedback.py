"""`detector feedback`: say of an incident that it is normal, or a fault; tell what was said; and take it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from detector.cli.live import DEFAULT_TIMEOUT, Json, StoreFolder, Timeout, asked, folder, login, show
from detector.cli.moments import at_or_in, moment
from detector.cli.options import DEFAULT_CONFIG, ConfigFile

if TYPE_CHECKING:
    from collections.abc import Iterator


class _IncidentFirst(TyperGroup):
    """Lets `detector feedback INCIDENT` stand for `detector feedback give INCIDENT`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in front where an incident or an option is."""
        if args and args[0] not in self.commands and args[0] not in {"-h", "--help"}:
            args = ["give", *args]
        return super().parse_args(ctx, args)


By = Annotated[
    str | None, typer.Option("--by", metavar="NAME", help="Who says so, for the audit; else this system's user.")
]

app = typer.Typer(
    cls=_IncidentFirst,
    no_args_is_help=True,
    help="Say of an incident that it is normal or a fault: `detector feedback INCIDENT --normal`.",
    rich_markup_mode=None,
)


@app.command()
def give(  # noqa: PLR0913, PLR0917 - the options of a command
    incident: Annotated[str, typer.Argument(help="Its id, or the first digits of it: `detector incidents list`.")],
    entity: Annotated[
        str | None, typer.Option(metavar="ENTITY", help="Whose rows it is said of; else the incident's own entity.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="2026-12-24T00:00:00Z, 7d or never; else 30d where normal. Event time counts."
        ),
    ] = None,
    comment: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who read it later.")] = "",
    by: By = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    normal: Annotated[bool, typer.Option("--normal", help="Such rows are normal: they alert no more.")] = False,
    fault: Annotated[bool, typer.Option("--fault", help="Such rows are a fault: they never become normal.")] = False,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="It is said of every entity of the incident's partition.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say of an incident's rows that they are normal, or a fault, from the next block on.

    It is asked of a running daemon, is kept as a control record of the partition, and so outlives restarts.
    """
    if normal == fault:
        message = "say either --normal or --fault"
        raise typer.BadParameter(message)
    if entity is not None and everywhere:
        message = "say either --entity or --everywhere"
        raise typer.BadParameter(message)
    payload = {
        "incident": incident,
        "verdict": "normal" if normal else "fault",
        "entity": entity,
        "everywhere": everywhere,
        "by": by or login(),
        "comment": comment,
        **at_or_in(until, "--until"),
    }
    (answer,) = (each.result for each in asked("feedback give", payload, store=store, config=config, seconds=timeout))
    show(answer, [f"feedback {answer['id']}: {_line(answer)}, from block {answer['at_block']:,} on"], as_json=as_json)


@app.command()
def undo(  # noqa: PLR0913 - the options of a command
    feedback: Annotated[str, typer.Argument(metavar="ID", help="The feedback's id: `detector feedback list`.")],
    by: By = None,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    timeout: Timeout = DEFAULT_TIMEOUT,
    *,
    as_json: Json = False,
) -> None:
    """Take back what was said, from the next block on."""
    payload = {"feedback": feedback, "by": by or login()}
    (answer,) = (each.result for each in asked("feedback undo", payload, store=store, config=config, seconds=timeout))
    lines = [f"feedback {feedback} of {answer['partition']} is undone, from block {answer['at_block']:,} on"]
    show(answer, lines, as_json=as_json)


@app.command("list")
def list_(
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Also what has expired or was undone.")] = False,
    as_json: Json = False,
) -> None:
    """List what was said of incidents, by whom and when; read from the store, whether or not a daemon runs."""
    from detector.store import told  # noqa: PLC0415 - `--help` needs no store

    listed = [each for each in told.feedback(folder(store, config)) if everything or each["state"] == "in force"]
    show({"feedback": listed}, _lines(listed), as_json=as_json)


def _lines(listed: list[dict[str, Any]]) -> Iterator[str]:
    if not listed:
        yield "nothing is in force that was said of incidents (--all also tells what has expired or was undone)"
    for each in listed:
        yield f"{each['id']}  {each['state']}: {_line(each)}"
        comment = f": {each['comment']}" if each["comment"] else ""
        yield f"    incident {each['incident']}; by {each['by']}, {moment(each['at'])}{comment}"
        if each["state"] == "undone":
            yield f"    undone by {each['undone_by']}, {moment(each['undone_at'])}"


def _line(each: dict[str, Any]) -> str:
    whose = "everywhere" if each["entity"] is None else f"of {each['entity'] or 'the partition'}"
    until = "for good" if each["until"] is None else f"until {moment(each['until'])} (event time)"
    return f"{each['verdict']} {whose} in {each['partition']}, {until}"
