"""What `detector bench quality` prints: a table for each group of sets, or one JSON object."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table

from detector.quality.evaluation import DETECTOR, SCORE, Evaluation, group_quality
from detector.quality.measures import Quality

Groups = dict[str, list[Evaluation]]


def as_json(evaluations: Sequence[Evaluation]) -> str:
    """Return the detector's own results as one JSON object on one line; null where nothing decides a measure.

    `nab` (by set, by profile) is there where a set has NAB's windows.
    """
    sets = {
        each.name: _measures(each.judgements[DETECTOR].quality)
        | {"preset": each.preset, "events_per_second": round(each.events_per_second, 1)}
        for each in evaluations
    }
    groups = {group: _measures(group_quality(each)) for group, each in _groups(evaluations).items()}
    scores = {each.name: each.judgements[DETECTOR].nab for each in evaluations if each.judgements[DETECTOR].nab}
    return json.dumps({"sets": sets, "groups": groups} | ({"nab": scores} if scores else {}))


def tables(evaluations: Sequence[Evaluation]) -> Iterator[Table]:
    """Return a table for each group: a line a detector, a column a set, and their mean."""
    for group, sets in _groups(evaluations).items():
        table = Table(title=f"{group}: ROC-AUC, average precision", box=box.SIMPLE, padding=(0, 1))
        table.add_column("")
        for each in sets:
            table.add_column(each.name, justify="right")
            for profile in each.judgements[DETECTOR].nab:
                table.add_column(f"NAB {profile.replace('_', ' ')}", justify="right")
        table.add_column("mean", justify="right")
        for detector in sets[0].judgements:
            if all(detector in each.judgements for each in sets):
                style = {DETECTOR: "bold", SCORE: "dim"}.get(detector)
                table.add_row(*_line(detector, sets), style=style)
        table.add_section()
        table.add_row("events/s", *_beside_nab(sets, [f"{each.events_per_second:,.0f}" for each in sets]))
        if any(each.found for each in sets):
            table.caption = "spans: at one false alert per entity and week, of the detector"
            table.add_row("spans found", *_beside_nab(sets, [_share(each) for each in sets]))
            table.add_row("median delay", *_beside_nab(sets, [_delay(each) for each in sets]))
        yield table


def _line(detector: str, sets: Sequence[Evaluation]) -> Iterator[str]:
    yield detector
    for each in sets:
        judgement = each.judgements[detector]
        yield _pair(judgement.quality)
        yield from (f"{score:.1f}" for score in judgement.nab.values())
    yield _pair(group_quality(sets, detector))


def _beside_nab(sets: Sequence[Evaluation], cells: Sequence[str]) -> Iterator[str]:
    """Put nothing into the columns of NAB's scores."""
    for each, cell in zip(sets, cells, strict=True):
        yield cell
        yield from ("" for _ in each.judgements[DETECTOR].nab)


def _groups(evaluations: Sequence[Evaluation]) -> Groups:
    groups: Groups = {}
    for each in evaluations:
        groups.setdefault(each.group, []).append(each)
    return groups


def _measures(quality: Quality) -> dict[str, object]:
    return {name: None if math.isnan(value) else round(value, 6) for name, value in quality._asdict().items()}


def _pair(quality: Quality) -> str:
    return " ".join("-" if math.isnan(value) else f"{value:.3f}".removeprefix("0") for value in quality)


def _share(evaluation: Evaluation) -> str:
    found = evaluation.found
    if found is None or not found.spans:
        return "-"
    return f"{found.found} of {found.spans} ({100 * found.found / found.spans:.0f} %)"


def _delay(evaluation: Evaluation) -> str:
    if evaluation.found is None or evaluation.found.median_delay is None:
        return "-"
    seconds = evaluation.found.median_delay
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"
