import os
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psutil
import pytest

from detector.errors import SourceError
from detector.sources.readings import UNITS, ComputerReader, Reading, rates


class _StandingClock:
    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 7.0


def test_counters_become_rates_over_the_time_between_readings() -> None:
    before = Reading(10.0, counters={"net/eth0": {"received": 1000, "sent": 50}})
    after = Reading(10.5, counters={"net/eth0": {"received": 3000, "sent": 50}})
    assert rates(before, after) == {"net/eth0": {"received": 4000.0, "sent": 0.0}}


def test_a_cores_shares_are_of_what_the_core_accounts_for() -> None:
    before = Reading(10.0, cores={"cpu0": {"user": 1.0, "system": 2.0, "idle": 5.0}})
    # 0.21 s of ticks in 0.2 s: by the clock this would be 105 %.
    after = Reading(10.2, cores={"cpu0": {"user": 1.21, "system": 2.0, "idle": 5.0}})
    assert rates(before, after) == {"cpu0": {"user": pytest.approx(100.0), "system": 0.0}}


def test_a_core_without_ticks_says_nothing() -> None:
    core = {"cpu0": {"user": 1.0, "idle": 5.0}}
    assert rates(Reading(10.0, cores=core), Reading(10.001, cores=core)) == {}


def test_gauges_join_the_rates_of_their_entity() -> None:
    before = Reading(0.0, counters={"computer": {"interrupts": 100}}, gauges={"computer": {"load": 9.0}})
    after = Reading(2.0, counters={"computer": {"interrupts": 300}}, gauges={"computer": {"load": 0.5}})
    assert rates(before, after) == {"computer": {"interrupts": 100.0, "load": 0.5}}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({}, {"net/usb0": {"received": 9}}, id="it appeared"),
        pytest.param({"net/usb0": {"received": 9}}, {}, id="it went away"),
        pytest.param(
            {"net/usb0": {"received": 4_294_967_000}}, {"net/usb0": {"received": 12}}, id="its counter wrapped"
        ),
        pytest.param(
            {"net/usb0": {"received": 9, "sent": 9}},
            {"net/usb0": {"received": 10, "sent": 0}},
            id="one counter began anew",
        ),
        pytest.param({"net/usb0": {"received": 9}}, {"net/usb0": {"received": 9, "sent": 4}}, id="a counter appeared"),
    ],
)
def test_a_part_of_which_the_rates_are_unknown_sits_the_sample_out(
    before: dict[str, dict[str, float]], after: dict[str, dict[str, float]]
) -> None:
    steady = {"disk/vda": {"read": 5.0}}
    values = rates(Reading(0.0, counters=before | steady), Reading(1.0, counters=after | steady))
    assert values == {"disk/vda": {"read": 0.0}}


def test_no_time_between_readings_gives_no_rates() -> None:
    reading = Reading(3.0, counters={"computer": {"interrupts": 100}})
    assert rates(reading, reading) == {}


def test_this_computer_tells_only_known_features_and_has_a_core() -> None:
    reading = ComputerReader(_StandingClock())()
    assert reading.at == 7.0
    assert "cpu0" in reading.cores
    assert "computer" in reading.counters
    told = {name for part in (reading.cores, reading.counters, reading.gauges) for row in part.values() for name in row}
    assert told - {"idle"} <= set(UNITS)
    assert 0.0 < reading.gauges["computer"]["memory"] < 100.0
    assert reading.gauges["computer"]["processes"] >= 1


def test_work_of_this_process_shows_in_the_rates() -> None:
    clock = _StandingClock()
    before = ComputerReader(clock)()
    began = os.times().user
    while os.times().user - began < 0.1:
        pass
    values = rates(before, replace(ComputerReader(clock)(), at=before.at + 1.0))
    assert max(row["user"] for name, row in values.items() if name.startswith("cpu")) > 0
    assert values["computer"]["context_switches"] > 0


def test_a_core_tells_its_time_in_four_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    linux = namedtuple("linux", "user nice system idle iowait irq softirq steal guest guest_nice")  # noqa: PYI024 - as psutil's own
    macos = namedtuple("macos", "user nice system idle")  # noqa: PYI024 - as psutil's own
    monkeypatch.setattr(psutil, "cpu_times", lambda **_: [linux(1, 2, 4, 8, 16, 32, 64, 128, 1, 2), macos(1, 2, 4, 8)])
    cores = ComputerReader(_StandingClock())().cores
    # A guest's time is part of `user` and `nice` already.
    assert cores["cpu0"] == {"idle": 8, "user": 3, "system": 100, "waiting": 144}
    assert cores["cpu1"] == {"idle": 8, "user": 3, "system": 4, "waiting": 0}


_Disk = namedtuple("_Disk", "read_count write_count read_bytes write_bytes")  # noqa: PYI024 - as psutil's own, on macOS


def test_idle_loop_and_partition_devices_are_no_entities(monkeypatch: pytest.MonkeyPatch) -> None:
    disks = {"loop0": _Disk(5, 5, 5, 5), "nosuchdisk1": _Disk(5, 5, 5, 5), "vdz": _Disk(0, 0, 0, 0)}
    monkeypatch.setattr(psutil, "disk_io_counters", lambda **_: disks)
    assert [name for name in ComputerReader(_StandingClock())().counters if name.startswith("disk/")] == []


_Net = namedtuple("_Net", "bytes_sent bytes_recv packets_sent packets_recv errin errout dropin dropout")  # noqa: PYI024 - as psutil's own


def test_the_loopback_and_unused_networks_are_no_entities(monkeypatch: pytest.MonkeyPatch) -> None:
    used = _Net(*range(1, 9))
    networks = {"lo": used, "wlan0": _Net(0, 0, 0, 0, 0, 0, 0, 0), "eth0": used}
    monkeypatch.setattr(psutil, "net_io_counters", lambda **_: networks)
    counters = ComputerReader(_StandingClock())().counters
    assert [name for name in counters if name.startswith("net/")] == ["net/eth0"]
    assert counters["net/eth0"] == {"received": 2, "sent": 1, "packets": 7, "drops": 26}


def test_a_part_that_cannot_be_read_is_left_out_and_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(psutil, "disk_io_counters", _raising(NotImplementedError("no diskstats here")))
    reader = ComputerReader(_StandingClock())
    assert "cpu0" in reader().cores
    reader()
    said = capsys.readouterr()
    assert (said.out + said.err).count("no diskstats here") == 1


def test_a_computer_that_tells_nothing_is_an_error_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("cpu_stats", "cpu_times", "disk_io_counters", "net_io_counters"):
        monkeypatch.setattr(psutil, name, _raising(PermissionError("/proc is hidden")))
    with pytest.raises(SourceError, match=r"/proc is hidden.*--fleet"):
        ComputerReader(_StandingClock())()


def _raising(error: Exception) -> Callable[..., Any]:
    def read(**_: object) -> Any:
        raise error

    return read
