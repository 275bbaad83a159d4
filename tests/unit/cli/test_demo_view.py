import io
from dataclasses import replace
from datetime import UTC

import pytest
from rich.console import Console

from detector.cli.demo_snapshot import Finding, Snapshot, Subject
from detector.cli.demo_view import LiveView, PlainView, View, open_view
from detector.types import FeatureShare

SUBJECT = Subject("a demo", {"user": "%", "received": "B/s"}, zone=UTC)
CPU = Finding(
    3600.0, "cpu0", 4.0, at_least=False, features=(FeatureShare("user", 97.0, 12.0, 1.0),), severity="warning"
)
NET = Finding(
    7200.0, "net/[red]", 6.0, at_least=True, features=(FeatureShare("received", 5e6, 1e3, 1.0),), severity="critical"
)
EMPTY = Snapshot(0.0, "learning", 0, 0.0, 0, (), 4.0, None, (), 0)


class _Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def _console(file: io.StringIO, width: int = 100) -> Console:
    return Console(file=file, width=width, height=40, legacy_windows=False)


def _shown(snapshot: Snapshot, width: int = 100) -> str:
    out = io.StringIO()
    console = _console(out, width)
    console.print(LiveView(SUBJECT, console).picture(snapshot))
    return out.getvalue()


def test_a_terminal_gets_the_picture_and_anything_else_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(open_view(SUBJECT, _console(_Terminal())), LiveView)
    assert isinstance(open_view(SUBJECT, _console(io.StringIO())), PlainView)


def test_a_terminal_that_cannot_draw_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    ascii_only = _Terminal()
    ascii_only.encoding = "ascii"
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(open_view(SUBJECT, _console(ascii_only)), PlainView)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(open_view(SUBJECT, _console(_Terminal())), PlainView)


def test_the_picture_shows_rate_score_top_features_and_alerts() -> None:
    snapshot = replace(
        EMPTY, seconds=72.4, state="watching", events=1234, events_per_second=34.2, entities=6, scores=(0.5, 5.0, 0.7),
        top=NET, alerts=(CPU, NET), alert_count=12, incidents=(9, 2),
    )  # fmt: skip
    text = _shown(snapshot)
    assert "1:12  1,234 events, 34 events/s, 6 entities, watching" in text
    assert "score ▁▇▁ 0.7 (alerts from 4.0)" in text
    assert "net/[red] at 02:00:00: at most 1 in 1,000,000 (score at least 6.0)" in text
    assert "received  5 MB/s  expected 1 kB/s" in text
    assert "Received by webhook: 9 incidents, 2 open" in text
    alerts = " ".join(text[text.index("Received by webhook") :].split())
    assert "01:00:00 cpu0 open user 97 % (expected 12 %)" in alerts
    assert alerts.index("net/[red]") < alerts.index("cpu0")


@pytest.mark.parametrize("width", [40, 80, 200])
def test_the_picture_fits_its_terminal_and_never_changes_its_height(width: int) -> None:
    full = replace(EMPTY, scores=[1.0] * 500, top=NET, alerts=[CPU, NET] * 20, alert_count=40)
    heights = set()
    for snapshot in (EMPTY, full):
        lines = _shown(snapshot, width).splitlines()
        assert {len(line) for line in lines} == {width}
        heights.add(len(lines))
    assert len(heights) == 1
    assert max(heights) <= 24


def test_the_last_picture_stays_on_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = _Terminal()
    with open_view(SUBJECT, _console(out)) as view:
        view.update(EMPTY)
        view.update(replace(EMPTY, state="watching", alerts=(CPU,), alert_count=1))
    assert "user 97 % (expected 12 %)" in out.getvalue()


def _lines(*snapshots: Snapshot) -> list[str]:
    out = io.StringIO()
    view: View = PlainView(SUBJECT, _console(out, width=40))
    with view:
        for snapshot in snapshots:
            view.update(snapshot)
    return out.getvalue().splitlines()


def test_lines_tell_each_message_once_and_uncut() -> None:
    first = replace(EMPTY, seconds=1.0, alerts=(CPU,), alert_count=1)
    over = replace(CPU, time=3660.0, phase="resolve", what="back to normal after 60 s")
    second = replace(EMPTY, seconds=2.0, alerts=(CPU, NET, over), alert_count=3)
    told = [line for line in _lines(EMPTY, first, first, second, second) if "OPEN" in line or "RESOLVE" in line]
    assert told == [
        "01:00:00 OPEN cpu0: user 97 % (expected 12 %); 1 in 10,000",
        "02:00:00 OPEN net/[red]: received 5 MB/s (expected 1 kB/s); at most 1 in 1,000,000",
        "01:01:00 RESOLVE cpu0: back to normal after 60 s",
    ]


def test_lines_tell_how_things_stand_every_five_seconds_and_at_the_end() -> None:
    snapshots = [replace(EMPTY, seconds=float(s), events=s, scores=(1.0, 2.5)) for s in range(8)]
    assert _lines(*snapshots)[1:] == [
        "0:00  0 events, 0 events/s, 0 entities, learning, highest score of late 2.5, 0 incidents, 0 open",
        "0:05  5 events, 0 events/s, 0 entities, learning, highest score of late 2.5, 0 incidents, 0 open",
        "0:07  7 events, 0 events/s, 0 entities, learning, highest score of late 2.5, 0 incidents, 0 open",
    ]


def test_an_entity_cannot_write_to_the_terminal() -> None:
    evil = replace(CPU, entity="cpu\x1b[2J\n0")
    snapshot = replace(EMPTY, top=evil, alerts=(evil,), alert_count=1)
    for text in (_shown(snapshot), "\n".join(_lines(snapshot))):
        assert "\x1b" not in text
        assert "cpu\\x1b[2J\\n0" in text
