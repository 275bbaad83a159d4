"""What dashboards are made of: panels as data, and the PromQL that many of them ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

ON = 'instance=~"$instance"'
TOPIC = f'{ON}, topic=~"$topic"'


@dataclass(frozen=True)
class Query:
    """One PromQL expression, and what its series are called."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One panel. `unit` is Grafana's name of it; `heat`: the query's buckets are drawn as a heat map."""

    title: str
    description: str
    unit: str
    queries: Sequence[Query]
    heat: bool = False


@dataclass(frozen=True)
class Board:
    """One dashboard."""

    name: str
    title: str
    description: str
    panels: Sequence[Panel]


def gauge(title: str, description: str, metric: str, by: str = "instance") -> Panel:
    """Show a gauge, summed over all that it is not told apart by."""
    return Panel(title, description, "short", [Query(f"sum by ({by}) (detector_{metric}{{{ON}}})", f"{{{{{by}}}}}")])


def rate(metric: str, by: str, where: str = ON) -> str:
    """Ask how many a second there are."""
    return f"sum by ({by}) (rate(detector_{metric}{{{where}}}[$__rate_interval]))"


def within(span: str, metric: str, by: str) -> list[Query]:
    """Ask how many there were within a span: of what is rare, nobody can read a rate."""
    return [Query(f"sum by ({by}) (increase(detector_{metric}{{{ON}}}[{span}]))", f"{{{{{by}}}}}")]


def by_partition(metric: str) -> list[Query]:
    """Ask for a gauge of each partition."""
    labels = "topic, partition"
    return [Query(f"max by ({labels}) (detector_{metric}{{{TOPIC}}})", "{{topic}}/{{partition}}")]


def quantiles(metric: str, by: str = "", span: str = "$__rate_interval") -> list[Query]:
    """Ask for median and 99 % of a histogram, by what came within a span."""
    labels, tail = (f"le, {by}", f" {{{{{by}}}}}") if by else ("le", "")
    buckets = f"sum by ({labels}) (rate(detector_{metric}_bucket{{{ON}}}[{span}]))"
    return [
        Query(f"histogram_quantile({share}, {buckets})", f"{name}{tail}")
        for share, name in ((0.5, "median"), (0.99, "99 %"))
    ]
