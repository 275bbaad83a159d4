import io
import json

import pytest
from rich.console import Console

from detector.cli.demo_report import Count, Grade, Incident, Report, grade, incidents_of
from detector.cli.demo_snapshot import Finding
from detector.sources.simulated_faults import Fault

SPIKE = Fault("spike", "host-01", ("cpu",), 1000.0, 1060.0)
LEAK = Fault("slow_leak", "host-02", ("memory",), 5000.0, 9000.0)
LATER = Fault("spike", "host-01", ("errors",), 20_000.0, 20_060.0)
FAULTS = (SPIKE, LEAK, LATER)


def test_a_fault_is_found_by_the_first_incident_of_its_host_within_it() -> None:
    graded = grade(
        FAULTS,
        [Incident("host-01", 1060.0, 1060.0), Incident("host-01", 1030.0, 1030.0), Incident("host-02", 5600.0, 5600.0)],
        grace=100.0,
    )
    assert graded.total == Count(3, 2, 315.0)
    assert graded.false_alarms == 0
    assert graded.kinds == {"spike": Count(2, 1, 30.0), "slow_leak": Count(1, 1, 600.0)}
    assert (graded.total.missed, graded.kinds["spike"].missed) == (1, 1)


@pytest.mark.parametrize(("time", "found"), [(999.9, 0), (1000.0, 1), (1060.0, 1), (1160.0, 1), (1160.1, 0)])
def test_a_fault_reaches_from_its_start_to_its_end_and_grace(time: float, found: int) -> None:
    graded = grade([SPIKE], [Incident("host-01", time, time)], grace=100.0)
    assert (graded.total.found, graded.false_alarms) == (found, 1 - found)


def test_incidents_of_other_hosts_and_times_are_false_alarms_each() -> None:
    alerts = [
        Incident("host-02", 1030.0, 1030.0),
        Incident("host-03", 1030.0, 1030.0),
        Incident("host-01", 15_000.0, 15_000.0),
        Incident("host-01", 15_060.0, 15_060.0),
        Incident(None, 1030.0, 1030.0),
    ]
    graded = grade(FAULTS, alerts)
    assert graded.total == Count(3, 0, None)
    assert graded.false_alarms == 5


def test_an_incident_within_two_faults_of_its_host_finds_both() -> None:
    overlapping = Fault("level_shift", "host-01", ("cpu",), 900.0, 1030.0)
    graded = grade([SPIKE, overlapping], [Incident("host-01", 1020.0, 1020.0)])
    assert graded.total == Count(2, 2, 70.0)


def test_without_faults_all_incidents_are_false() -> None:
    assert grade([], [Incident("host-01", 5.0, 5.0)]) == Grade(Count(0, 0, None), {}, 1)


def test_an_incident_that_is_open_when_another_fault_begins_finds_it_at_once_unless_it_was_false() -> None:
    later = Fault("spike", "host-01", ("cpu",), 2000.0, 2060.0)
    right, false = Incident("host-01", 1030.0), Incident("host-01", 900.0)
    assert grade([SPIKE, later], [right]).total == Count(2, 2, 15.0)
    ended = right._replace(end=1999.0)
    assert grade([SPIKE, later], [ended]).total == Count(2, 1, 30.0)
    graded = grade([SPIKE, later], [false])
    assert (graded.total.found, graded.false_alarms) == (0, 1)


def test_messages_are_put_together_to_incidents() -> None:
    def message(time: float, incident: str, phase: str) -> Finding:
        return Finding(time, "host-01", 4.0, at_least=False, features=(), phase=phase, incident=incident, start=5.0)

    messages = [message(5.0, "x", "open"), message(9.0, "x", "resolve"), message(7.0, "y", "update")]
    assert incidents_of(messages) == [Incident("host-01", 5.0, 9.0), Incident("host-01", 5.0)]


REPORT = Report(
    grade(FAULTS, [Incident("host-01", 1030.0, 1030.0), Incident("host-09", 1.0, 1.0)]), events=216_000, seconds=2.0
)


def test_the_json_has_exactly_the_promised_keys_on_one_line() -> None:
    text = REPORT.as_json()
    assert "\n" not in text
    assert json.loads(text) == {
        "injected": 3,
        "found": 1,
        "missed": 2,
        "false_alarms": 1,
        "median_delay_s": 30.0,
        "events": 216_000,
        "events_per_second": 108_000.0,
    }


def test_the_json_of_nothing_found_has_null_for_the_delay() -> None:
    assert json.loads(Report(grade(FAULTS, []), 0, 0.0).as_json())["median_delay_s"] is None


def test_the_table_shows_each_kind_and_all() -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(REPORT.table())
    rows = [[cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]] for line in out.getvalue().splitlines()]
    assert ["spike", "2", "1", "1", "30 s"] in rows
    assert ["slow leak", "1", "0", "1", "-"] in rows
    assert ["all", "3", "1", "2", "30 s"] in rows
    assert "1 false alarms; 216,000 events in 2.0 s, 108,000 events/s" in out.getvalue()


def test_the_table_can_be_written_where_only_ascii_can() -> None:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding="ascii") as out:
        Console(file=out, width=100).print(REPORT.table())
        out.flush()
        assert b"slow leak" in raw.getvalue()
