"""`detector bench`: what the detector reaches on data of one's own, measured through the daemon itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, help="Measure the detector, with the daemon's own pipeline.", rich_markup_mode=None
)


@app.callback()
def bench() -> None:
    """Keep `quality` a subcommand while it is the only one."""


@app.command()
def quality(  # noqa: PLR0913 - an option each
    data: Annotated[
        Path,
        typer.Option("--data", metavar="DIR", exists=True, file_okay=False, help="The folder of the labelled sets."),
    ],
    *,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="SETS", help="These sets alone: names, with commas.")
    ] = None,
    groups: Annotated[
        list[str] | None, typer.Option("--groups", metavar="GROUPS", help="These groups alone: names, with commas.")
    ] = None,
    peers: Annotated[
        bool | None,
        typer.Option(
            "--peers/--no-peers",
            help="Run other detectors beside it, those that are installed; they take a while. By default they run, "
            "but not with --json, which does not hold them.",
        ),
    ] = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting in the place of a preset's, as model.mass=1."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The results as one JSON object on the last line.")] = False,
) -> None:
    """Tell how well anomalies are told from the rest, on labelled sets: manifest.json, and NAME.npz for each.

    Every row is scored before it is learned; labels are never shown; the first 10 % of each stream are not judged. The
    table has the area under the ROC curve and the average precision, each the mean over a set's streams, and what an
    operator feels of series: at one false alert per entity and week, the share of labelled spans found, and how soon.
    Where a set has no timestamps, a minute is taken to lie between two rows of a series, so that a week has 10,080,
    and a second between two events, unless the manifest's `interval` says otherwise. Sets with NAB's windows are
    scored as NAB does, too.
    """
    from detector.quality import folder, presets  # noqa: PLC0415 - they import NumPy

    settings = presets.settings(given or [])

    sets = folder.chosen(data, only=_names(only), groups=_names(groups))
    from detector.cli import bench_run  # noqa: PLC0415 - it imports TensorFlow: a wrong name is told before

    beside = not as_json if peers is None else peers
    raise typer.Exit(bench_run.run_quality(sets, settings, beside=beside, as_json=as_json))


def _names(given: list[str] | None) -> frozenset[str]:
    return frozenset(name.strip() for text in given or [] for name in text.split(",") if name.strip())
