"""What `detector bench quality` runs: set after set, with a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from detector.cli import bench_report
from detector.config.sections import Log
from detector.errors import LabelledSetError
from detector.quality import peers
from detector.quality.evaluation import Evaluation, Phase, evaluate
from detector.quality.labelled import LabelledSet
from detector.quality.presets import Settings
from detector.telemetry import logs

_WIDTH = 160
"""Columns where the output is no terminal: a table in a file is not to be folded."""


def run_quality(sets: Sequence[LabelledSet], settings: Settings, *, beside: bool, as_json: bool) -> int:
    """Evaluate the sets and print what came of it; a set that cannot be used is told of, and makes it fail."""
    logs.configure(Log(level="warning"))
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console = Console(stderr=as_json, width=_WIDTH)
    kinds = [kind for kind in peers.KINDS if beside and kind.installed]
    for absent in (kind for kind in peers.KINDS if beside and not kind.installed):
        console.print(f"{absent.name} is left out: {absent.package} is not installed")
    evaluations = list[Evaluation]()
    failed = False
    with _bar(console, len(sets)) as (phase, set_done):
        for labelled in sets:
            try:
                evaluation = evaluate(labelled, kinds, phase, settings)
            except LabelledSetError as error:
                failed = True
                console.print(f"{labelled.name} is left out: {error}", markup=False, highlight=False)
            else:
                if evaluation is None:
                    console.print(f"{labelled.name} is left out: it has no labelled anomalies")
                else:
                    evaluations.append(evaluation)
            set_done()
    for table in bench_report.tables(evaluations):
        console.print(table)
    if as_json:
        print(bench_report.as_json(evaluations))  # noqa: T201 - this is what --json is for
    sys.stdout.flush()
    return LabelledSetError.exit_code if failed else 0


@contextmanager
def _bar(console: Console, sets: int) -> Iterator[tuple[Phase, Callable[[], None]]]:
    """Show how many sets are done, and how far the detector at work is with its rows."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        whole, part = progress.add_task("sets", total=sets), progress.add_task("")

        def phase(name: str, rows: int) -> Callable[[int], None]:
            progress.reset(part, description=name, total=rows)
            return lambda done: progress.advance(part, done)

        yield phase, lambda: progress.advance(whole)
