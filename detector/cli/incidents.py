"""`detector incidents`: those there are and were, and all there is to say of one; from the store's files."""

from __future__ import annotations

from typing import Annotated

import typer

from detector.cli.live import Json, StoreFolder, folder, show
from detector.cli.options import DEFAULT_CONFIG, ConfigFile
from detector.errors import CommandError

app = typer.Typer(
    no_args_is_help=True,
    help="List incidents and show one, from the store's files, whether or not a daemon runs.",
    rich_markup_mode=None,
)

_LEAST_ID = 4


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="So many, the newest first.")] = 20,
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that are not over.")] = False,
    as_json: Json = False,
) -> None:
    """List incidents, the newest first: a line each, or all of them for programs.

    Behind them stands what refits found anomalous in hindsight: findings of severity info, of which nobody was told.
    """
    from detector.cli.incident_view import document, finding, head  # noqa: PLC0415 - `--help` needs no store
    from detector.store import told  # noqa: PLC0415 - as above

    path = folder(store, config)
    found = told.incidents_of(path, limit=limit if not only_open else 1_000_000)
    listed = [document(each) for each in found if each.incident.open or not only_open][:limit]
    none = "no incident is open" if only_open else "no incident is known here"
    findings = [] if only_open else told.findings(path, limit)
    lines = [head(each) for each in listed] or [none]
    if findings:
        lines += ["", "in hindsight, by refits; nobody was told:", *map(finding, findings)]
    show({"incidents": listed, "findings": findings}, lines, as_json=as_json)


@app.command("show")
def show_(
    incident: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the first digits of it.")],
    store: StoreFolder = None,
    config: ConfigFile = DEFAULT_CONFIG,
    *,
    as_json: Json = False,
) -> None:
    """Show an incident: what happened, which features are to blame, who was told and what was said of it."""
    from detector.cli.incident_view import document  # noqa: PLC0415 - `--help` needs no store
    from detector.store import told  # noqa: PLC0415 - as above

    path = folder(store, config)
    if len(incident) < _LEAST_ID:
        message = f"{incident}: expected the id of an incident, or at least its first {_LEAST_ID} digits"
        raise CommandError(message)
    found = told.incidents_of(path, identity=incident)
    if len(found) != 1:
        message = (
            f"{incident}: begins the ids of several incidents; give more of it"
            if found
            else f"{incident}: no incident is known whose id begins so; `detector incidents list` tells those that are"
        )
        raise CommandError(message)
    shown = document(found[0])
    if as_json:
        show(shown, [], as_json=True)
    else:
        _print(shown)


def _print(shown: dict[str, object]) -> None:
    from rich.console import Console  # noqa: PLC0415 - slow to import

    from detector.cli.bars import table  # noqa: PLC0415 - as above
    from detector.cli.incident_view import facts, lines  # noqa: PLC0415 - as above

    console, alert = Console(highlight=False), shown["alert"]
    assert isinstance(alert, dict)
    console.print(alert["summary"], markup=False, style="bold", soft_wrap=True)
    for name, text in facts(shown):
        console.print(f"  {name:<17} {text}", markup=False, soft_wrap=True)
    if alert["kind"] == "anomaly":
        console.print()
        mean = any(feature.get("incident_mean") is not None for feature in alert["features"])
        console.print(table(lines(alert), observed="in the incident" if mean else "observed"))
