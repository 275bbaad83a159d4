"""Features as a table with bars: what was observed against what was expected, and each one's part in it."""

from __future__ import annotations

from typing import NamedTuple

from rich.bar import Bar
from rich.table import Table
from rich.text import Text

from detector.alerts.words import number, one_line

_WIDTH = 24


class Line(NamedTuple):
    """A feature as it is shown; `share` is its part of the distance, None where not known."""

    name: str
    unit: str
    observed: float | None
    expected: float | None
    share: float | None


def table(lines: list[Line], *, observed: str = "observed") -> Table:
    """Return the features, those that differ most first."""
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("feature", "", "share"):
        shown.add_column(heading, justify="right" if heading == "share" else "left", no_wrap=heading != "feature")
    for heading in (observed, "expected", ""):
        shown.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    for line in sorted(lines, key=lambda each: -(each.share or 0.0)):
        share = line.share or 0.0
        shown.add_row(
            one_line(line.name),
            Bar(1.0, 0.0, share, width=_WIDTH, color="red" if share >= 0.2 else "default"),
            f"{100 * share:.0f} %",
            _value(line.observed, line.unit),
            _value(line.expected, line.unit),
            _direction(line),
        )
    return shown


def _value(value: float | None, unit: str) -> str:
    return "missing" if value is None else f"{number(value)}{f' {one_line(unit)}' if unit else ''}"


def _direction(line: Line) -> Text:
    if line.observed is None or line.expected is None or line.observed == line.expected:
        return Text("")
    return Text("↑ rise", "bold") if line.observed > line.expected else Text("↓ drop", "bold")
