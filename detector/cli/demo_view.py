"""What `detector demo` shows while it runs: a live picture on a terminal, plain lines elsewhere.

The demo's loop makes a Snapshot some times a second and gives it to the view; the view knows nothing else of the
detector.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from detector.alerts.words import one_line, rate_in_words, score_in_words
from detector.cli.demo_snapshot import Finding, Snapshot, Subject, top_features

_TOP_FEATURES = 4
_ALERTS_SHOWN = 8
_LINE_EVERY = 5.0
_LEVELS = "▁▂▃▄▅▆▇█"
_SCORE_AT_TOP = 6.0


class View(Protocol):
    """Shows the demo while entered. All calls come from one thread."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def update(self, snapshot: Snapshot) -> None:
        """Show how things stand."""


def open_view(subject: Subject, console: Console) -> View:
    """Return the live picture where there is a terminal that can draw it, else lines."""
    live = console.is_terminal and not console.is_dumb_terminal and console.encoding.startswith("utf")
    return LiveView(subject, console) if live else PlainView(subject, console)


class PlainView:
    """A line for all that is received of an incident, and one every five seconds on how things stand."""

    def __init__(self, subject: Subject, console: Console) -> None:
        self._subject = subject
        self._console = console
        self._told = 0
        self._latest: Snapshot | None = None
        self._next = 0.0

    def __enter__(self) -> Self:
        self._line(f"{self._subject.title}: alerts are printed as they are received")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._latest is not None:
            self._line(self._status(self._latest))

    def update(self, snapshot: Snapshot) -> None:
        """Print the alerts that are new; and where it is time, the status."""
        fresh = min(snapshot.alert_count - self._told, len(snapshot.alerts))
        for alert in snapshot.alerts[len(snapshot.alerts) - fresh :]:
            when, what = self._subject.when(alert.time), self._subject.told(alert, 2)
            if alert.phase == "open":
                what += f"; {rate_in_words(alert.score, at_least=alert.at_least)}"
            self._line(f"{when} {alert.phase.upper()} {one_line(alert.entity)}: {what}")
        self._told = snapshot.alert_count
        self._latest = snapshot
        if snapshot.seconds >= self._next:
            self._line(self._status(snapshot))
            self._latest = None
            self._next = snapshot.seconds + _LINE_EVERY

    def _status(self, snapshot: Snapshot) -> str:
        score = f"highest score of late {max(snapshot.scores):.1f}" if snapshot.scores else "no scores yet"
        return f"{_progress(snapshot)}, {score}, {_alerts(snapshot)}"

    def _line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False, highlight=False, emoji=False)


class LiveView:
    """A picture that is drawn anew at each update; the last one stays on the screen."""

    def __init__(self, subject: Subject, console: Console) -> None:
        self._subject = subject
        self._console = console
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def update(self, snapshot: Snapshot) -> None:
        """Draw."""
        self._live.update(self.picture(snapshot), refresh=True)

    def picture(self, snapshot: Snapshot) -> RenderableType:
        """Return the picture of a snapshot."""
        status = Text(_progress(snapshot), no_wrap=True, overflow="ellipsis")
        overview = Panel(
            Group(status, _curve(snapshot, self._console.width - 35)),
            title=f"[bold]{self._subject.title}",
            title_align="left",
            border_style="cyan",
        )
        return Group(overview, self._top(snapshot.top, snapshot.threshold), self._alerts(snapshot))

    def _top(self, top: Finding | None, threshold: float) -> RenderableType:
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        table.add_column(no_wrap=True, justify="right")
        headline = Text("nothing scored yet", "dim", no_wrap=True, overflow="ellipsis")
        if top is not None:
            rarity = rate_in_words(top.score, at_least=top.at_least)
            score = score_in_words(top.score, at_least=top.at_least)
            headline = Text(no_wrap=True, overflow="ellipsis")
            headline.append(one_line(top.entity), "bold red" if top.score >= threshold else "bold")
            headline.append(f" at {self._subject.when(top.time)}: {rarity} (score {score})")
            for f in top_features(top, _TOP_FEATURES):
                expected = Text(f"expected {self._subject.quantity(f.name, f.expected)}")
                share = Bar(1.0, 0.0, f.share, color="yellow")
                observed = Text(self._subject.quantity(f.name, f.observed), "bold")
                table.add_row(Text(one_line(f.name)), observed, expected, share, f"{100 * f.share:.0f} %")
        for _ in range(_TOP_FEATURES - table.row_count):
            table.add_row()
        return Panel(Group(headline, table), title="Most surprising event of late", title_align="left")

    def _alerts(self, snapshot: Snapshot) -> RenderableType:
        table = Table(box=None, expand=True, padding=(0, 1), header_style="dim")
        table.add_column("time", no_wrap=True)
        table.add_column("entity", no_wrap=True)
        table.add_column("incident", no_wrap=True)
        table.add_column("what", ratio=1, no_wrap=True, overflow="ellipsis")
        latest = list(snapshot.alerts)[-_ALERTS_SHOWN:]
        reasons = 2 if self._console.width >= 120 else 1
        for alert in reversed(latest):
            table.add_row(
                self._subject.when(alert.time),
                Text(one_line(alert.entity)),
                alert.phase,
                Text(self._subject.told(alert, reasons)),
                style=_style(alert),
            )
        for _ in range(_ALERTS_SHOWN - len(latest)):
            table.add_row()
        title = f"Received by webhook: {_alerts(snapshot)}"
        return Panel(table, title=title, title_align="left", border_style="red" if latest else "dim")


def _progress(snapshot: Snapshot) -> str:
    minutes, seconds = divmod(int(snapshot.seconds), 60)
    return (
        f"{minutes}:{seconds:02d}  {snapshot.events:,} events, {snapshot.events_per_second:,.0f} events/s, "
        f"{snapshot.entities:,} entities, {snapshot.state}"
    )


def _alerts(snapshot: Snapshot) -> str:
    every, still_open = snapshot.incidents
    return f"{every:,} incident{'' if every == 1 else 's'}, {still_open:,} open"


def _style(alert: Finding) -> str:
    if alert.phase == "resolve":
        return "green"
    return "bold red" if alert.severity == "critical" else "yellow"


def _curve(snapshot: Snapshot, width: int) -> Text:
    """Return the recent scores as a row of bars, red from the threshold on."""
    curve = Text("score ", no_wrap=True, overflow="crop")
    scores = list(snapshot.scores)[-max(width, 1) :]
    for score in scores:
        level = min(len(_LEVELS) - 1, max(0, int(score / _SCORE_AT_TOP * len(_LEVELS))))
        curve.append(_LEVELS[level], "bold red" if score >= snapshot.threshold else "green")
    latest = f" {scores[-1]:.1f}" if scores else " none yet"
    return curve.append(latest, "bold").append(f" (alerts from {snapshot.threshold:.1f})", "dim")
