"""What psutil tells of this computer, and the rates between two readings.

Counters become rates by their difference over the time between two samples. A part that appears has its first
reading as the beginning; one whose counters ran backwards (a device replaced, a counter wrapped) sits that sample
out, because what it did is unknown. Devices that have not done anything since boot are left out until they do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import structlog

from detector.errors import SourceError
from detector.protocols import Clock

WHOLE = "computer"

UNITS = {
    "load": "",
    "memory": "%",
    "swap": "%",
    "context_switches": "1/s",
    "interrupts": "1/s",
    "processes": "",
    "user": "%",
    "system": "%",
    "waiting": "%",
    "read": "B/s",
    "write": "B/s",
    "operations": "1/s",
    "busy": "%",
    "received": "B/s",
    "sent": "B/s",
    "packets": "1/s",
    "drops": "1/s",
}
"""The features in order, with their units."""

Values = dict[str, dict[str, float]]
"""entity -> feature -> value."""

_NOT_DISKS = ("loop", "ram", "zram")
_LOOPBACKS = ("lo", "lo0")

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Reading:
    """What psutil told at one moment.

    at        seconds of a clock that never runs backwards
    cores     seconds that a core spent per mode since boot, `idle` among them
    counters  what only grows, in the feature's unit times seconds
    gauges    what is as it is; only for entities that have counters too
    """

    at: float
    cores: Values = field(default_factory=dict)
    counters: Values = field(default_factory=dict)
    gauges: Values = field(default_factory=dict)


def rates(before: Reading, after: Reading) -> Values:
    """Return the features of each part over the time between two readings, without those that are always 0."""
    seconds = after.at - before.at
    if seconds <= 0:
        return {}
    values: Values = {}
    for entity, spent in _grown(before.cores, after.cores):
        # By what the core accounts for, not by the clock: its ticks of 10 ms would make 105 % of a short interval.
        total = sum(spent.values())
        if total > 0:
            values[entity] = {mode: 100.0 * part / total for mode, part in spent.items() if mode != "idle"}
    for entity, grown in _grown(before.counters, after.counters):
        values[entity] = {name: amount / seconds for name, amount in grown.items()} | after.gauges.get(entity, {})
    return values


def _grown(before: Values, after: Values) -> Iterator[tuple[str, dict[str, float]]]:
    for entity, now in after.items():
        then = before.get(entity)
        if then is None or then.keys() != now.keys():
            continue
        grown = {name: value - then[name] for name, value in now.items()}
        if min(grown.values()) >= 0:
            yield entity, grown


class ComputerReader:
    """Reads psutil. What a system cannot tell is left out, and said once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._said: set[str] = set()

    def __call__(self) -> Reading:
        """Return a reading; SourceError where psutil can tell nothing at all."""
        reading = Reading(self._clock.monotonic())
        failures: list[str] = []
        parts = (_read_whole, _read_cores, _read_disks, _read_networks)
        for part in parts:
            try:
                part(reading)
            except (OSError, NotImplementedError, RuntimeError, psutil.Error) as error:
                failures.append(f"{part.__name__.removeprefix('_read_')}: {error}")
                if part.__name__ not in self._said:
                    self._said.add(part.__name__)
                    _log.warning("computer_part_unreadable", reason=failures[-1])
        if len(failures) == len(parts):
            message = (
                "source: this computer: psutil can read neither load, cores, disks nor networks "
                f"({'; '.join(failures)}); expected at least one of them. Use another source (`detector demo --fleet`)."
            )
            raise SourceError(message)
        return reading


def _read_whole(reading: Reading) -> None:
    stats = psutil.cpu_stats()
    memory = psutil.virtual_memory()
    gauges = {
        "load": psutil.getloadavg()[0],
        "memory": 100.0 * (memory.total - memory.available) / memory.total,
        "swap": psutil.swap_memory().percent,
        "processes": float(len(psutil.pids())),
    }
    reading.counters[WHOLE] = {"context_switches": stats.ctx_switches, "interrupts": stats.interrupts}
    reading.gauges[WHOLE] = gauges


def _read_cores(reading: Reading) -> None:
    for number, times in enumerate(psutil.cpu_times(percpu=True)):
        told = times._asdict()
        reading.cores[f"cpu{number}"] = {
            "idle": _spent(told, "idle"),
            "user": _spent(told, "user", "nice"),
            "system": _spent(told, "system", "irq", "softirq"),
            "waiting": _spent(told, "iowait", "steal"),
        }


def _spent(told: Mapping[str, float], *modes: str) -> float:
    return sum(told.get(mode, 0.0) for mode in modes)


def _read_disks(reading: Reading) -> None:
    for name, told in psutil.disk_io_counters(perdisk=True, nowrap=False).items():
        if told.read_count + told.write_count == 0 or not _whole_disk(name):
            continue
        counters: dict[str, float] = {
            "read": told.read_bytes,
            "write": told.write_bytes,
            "operations": told.read_count + told.write_count,
        }
        if hasattr(told, "busy_time"):
            counters["busy"] = told.busy_time / 10.0  # milliseconds, to per cent times seconds
        reading.counters[f"disk/{name}"] = counters


def _whole_disk(name: str) -> bool:
    blocks = Path("/sys/block")
    return not name.startswith(_NOT_DISKS) and (not blocks.is_dir() or (blocks / name.replace("/", "!")).exists())


def _read_networks(reading: Reading) -> None:
    for name, told in psutil.net_io_counters(pernic=True, nowrap=False).items():
        # What the loopback carries never leaves the computer; the demo's own webhooks would raise alerts about it.
        if name in _LOOPBACKS or told.packets_recv + told.packets_sent == 0:
            continue
        reading.counters[f"net/{name}"] = {
            "received": told.bytes_recv,
            "sent": told.bytes_sent,
            "packets": told.packets_recv + told.packets_sent,
            "drops": told.errin + told.errout + told.dropin + told.dropout,
        }
