"""What `detector top` draws of one look at the daemons."""

from __future__ import annotations

from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from detector.alerts.words import one_line, score_in_words, time_in_words
from detector.cli.moments import moment

_ENTITIES = 15


class Seen(NamedTuple):
    """One look: when (monotonic seconds), and what each daemon said of itself."""

    at: float
    daemons: list[dict[str, Any]]


def picture(seen: Seen, before: Seen | None) -> RenderableType:
    """Return the picture of a look; rates are against the look before, where there was one."""
    partitions = [each for daemon in seen.daemons for each in daemon["partitions"]]
    parts: list[RenderableType] = [_head(daemon) for daemon in seen.daemons]
    parts += [Text(), _partitions(partitions, _rates(seen, before)), Text(), _worst(partitions)]
    if findings := sum(each["findings"] for each in partitions):
        parts.append(Text(f"{findings:,} found in hindsight by the last refits: detector incidents list"))
    return Group(*parts)


def _head(daemon: dict[str, Any]) -> Text:
    state = "works" if daemon["ready"] else f"waits: {', '.join(daemon['blocked']) or 'not ready'}"
    return Text(f"detector {daemon['version']}, process {daemon['pid']}, since {moment(daemon['started'])}: {state}")


def _rates(seen: Seen, before: Seen | None) -> dict[str, float]:
    """Return rows a second by partition, of those that were owned at both looks by one process."""
    if before is None or seen.at <= before.at:
        return {}
    old = {(d["pid"], p["partition"]): p["rows_seen"] for d in before.daemons for p in d["partitions"]}
    rates = {}
    for daemon in seen.daemons:
        for each in daemon["partitions"]:
            was = old.get((daemon["pid"], each["partition"]))
            if was is not None and each["rows_seen"] >= was:
                rates[each["partition"]] = (each["rows_seen"] - was) / (seen.at - before.at)
    return rates


def _partitions(partitions: list[dict[str, Any]], rates: dict[str, float]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("partition", "events/s", "lag", "event time", "entities", "warming up", "warning", "critical"):
        table.add_column(heading, justify="left" if heading in {"partition", "event time"} else "right", no_wrap=True)
    for each in partitions:
        rate, lag = rates.get(each["partition"]), each["lag"]
        table.add_row(
            each["partition"],
            "" if rate is None else f"{rate:,.0f}",
            "" if lag is None else f"{lag:,}",
            "none yet" if each["event_time"] is None else moment(each["event_time"]),
            f"{each['entities']:,}",
            f"{each['entities_warming_up']:,}",
            *(f"{each['incidents_open'][severity]:,}" for severity in ("warning", "critical")),
        )
    return table


def _worst(partitions: list[dict[str, Any]]) -> RenderableType:
    """Return the entities with open incidents, the worst first."""
    found = [(each["partition"], worst) for each in partitions for worst in each["worst"]]
    if not found:
        return Text("no incident is open")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("entity", "partition", "severity", "peak", "events", "for"):
        table.add_column(heading, justify="right" if heading in {"peak", "events", "for"} else "left", no_wrap=True)
    for partition, worst in sorted(found, key=lambda pair: -float(pair[1]["peak"]))[:_ENTITIES]:
        table.add_row(
            one_line(worst["entity"]) if worst["entity"] is not None else "the partition",
            partition,
            worst["severity"],
            score_in_words(worst["peak"], at_least=worst["peak_at_least"]),
            f"{worst['count']:,}",
            time_in_words(worst["duration"]),
        )
    return table
