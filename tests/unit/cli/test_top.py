"""What `detector top` draws."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from detector.cli.top import _watch
from detector.cli.top_view import Seen, picture


def daemon(rows: int, *, pid: int = 7, worst: tuple[dict[str, Any], ...] = (), findings: int = 0) -> dict[str, Any]:
    partition = {
        "partition": "metrics/0",
        "rows_seen": rows,
        "lag": 12,
        "event_time": 1_800_000_000.0,
        "entities": 40,
        "entities_warming_up": 3,
        "incidents_open": {"warning": 1, "critical": 2},
        "worst": list(worst),
        "findings": findings,
    }
    return {"version": "1", "pid": pid, "started": 0.0, "ready": True, "blocked": {}, "partitions": [partition]}


def entity(name: str | None, peak: float, severity: str = "warning") -> dict[str, Any]:
    return {
        "entity": name,
        "severity": severity,
        "peak": peak,
        "peak_at_least": False,
        "count": 9,
        "duration": 90.0,
    }


def drawn(seen: Seen, before: Seen | None = None) -> list[str]:
    text = StringIO()
    Console(file=text, width=120, highlight=False).print(picture(seen, before))
    return [" ".join(line.split()) for line in text.getvalue().splitlines()]


def test_a_look_tells_of_partitions_and_the_rate_since_the_last_one() -> None:
    lines = drawn(Seen(12.0, [daemon(3_000)]), Seen(10.0, [daemon(1_000)]))
    assert lines[0] == "detector 1, process 7, since 1970-01-01T00:00:00+00:00: works"
    assert "metrics/0 1,000 12 2027-01-15T08:00:00+00:00 40 3 1 2" in lines
    assert lines[-1] == "no incident is open"


def test_no_rate_is_made_up_for_a_first_look_or_for_another_process() -> None:
    row = "metrics/0 12 2027-01-15T08:00:00+00:00 40 3 1 2"
    assert row in drawn(Seen(12.0, [daemon(3_000)]))
    assert row in drawn(Seen(12.0, [daemon(3_000)]), Seen(10.0, [daemon(1_000, pid=8)]))


def test_the_entities_that_are_worst_come_first_with_control_characters_shown() -> None:
    lines = drawn(Seen(1.0, [daemon(1, worst=(entity("a\x1b[31m", 4.0), entity("b", 6.5, "critical")))]))
    assert lines[-2:] == ["b metrics/0 critical 6.5 9 90 s", "a\\x1b[31m metrics/0 warning 4.0 9 90 s"]


def test_what_refits_found_in_hindsight_is_told_with_where_to_look() -> None:
    lines = drawn(Seen(1.0, [daemon(1, findings=3), daemon(1, findings=2)]))
    assert lines[-1] == "5 found in hindsight by the last refits: detector incidents list"


def test_what_it_waits_for_is_told() -> None:
    waiting = daemon(1) | {"ready": False, "blocked": {"outbox": "9 alerts wait"}}
    assert drawn(Seen(1.0, [waiting]))[0].endswith("waits: outbox")


def test_where_there_is_no_terminal_nothing_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    _watch(iter([Seen(12.0, [daemon(3_000, worst=(entity("a-host-with-a-name-of-its-own.eu-central", 4.0),))])]))
    said = capsys.readouterr().out
    assert "a-host-with-a-name-of-its-own.eu-central" in said
    assert "2027-01-15T08:00:00+00:00" in said
    assert "…" not in said
