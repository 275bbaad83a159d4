"""Every alert rule, on a real Prometheus and a real Alertmanager: it fires when what it tells of is so, and resolves.

What it tells of is brought about, not pretended. Three things are helped along: the rules are in a hurry
(`tests.support.rules.hurried`), the disk counts as nearly full a little below what is free when the test begins, and
the checkpoint is old because checkpoints are further apart than the rule allows, as no test can make a disk hang.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detector.control.asking import ask
from tests.support import rules
from tests.support.alertmanager import Alertmanager, alertmanager
from tests.support.broker import Cluster, free_port, wait_until
from tests.support.daemon import PATIENCE, Daemon, DaemonFactory
from tests.support.load import Feed
from tests.support.prometheus import Prometheus, prometheus
from tests.support.receiver import Receiver

BALLAST = 512 << 20
"""Bytes that a file takes from the disk; half of it are left to what else goes on there."""
SETTINGS: dict[str, Any] = {
    "source": {"max_poll_records": 10},  # so that it can be overtaken
    "alerting": {"budget": "150/day", "warm_up": 200},
    "checkpoint": {"interval": "8s"},
    "outbox": {"max_alerts": 3},
    "absence": {"idle_after": "2s"},
    "refit": {"algorithm": "kmeans", "kmeans": {"k": 2}, "window": {"least": 100}, "shadow_blocks": 1},
}
"""A shadow of one block is too short for any candidate: each is refused."""


class Watched:
    """What is seen of rules: `told` counts those that fired."""

    def __init__(self, asked: Prometheus, hub: Alertmanager) -> None:
        self._asked = asked
        self._hub = hub
        self.told: set[str] = set()

    def until_told(self, rule: str, meanwhile: Callable[[], object] = lambda: None, **labels: str) -> None:
        """Wait until a rule fires, and Alertmanager knows; `meanwhile` is done again and again."""

        def told() -> bool:
            meanwhile()
            return rule in self._asked.firing() and bool(self._known(rule, labels))

        wait_until(told, f"{rule} to be told of", PATIENCE)
        self.told.add(rule)

    def until_quiet(self, rule: str, meanwhile: Callable[[], object] = lambda: None, **labels: str) -> None:
        """Wait until Alertmanager knows no more of it."""

        def quiet() -> bool:
            meanwhile()
            return not self._known(rule, labels)

        wait_until(quiet, f"{rule} to be over", PATIENCE)

    def _known(self, rule: str, labels: dict[str, str]) -> list[dict[str, Any]]:
        return self._hub.alerts(f'alertname="{rule}"', *(f'{name}="{value}"' for name, value in labels.items()))


@contextmanager
def ballast(folder: Path) -> Iterator[tuple[Path, float]]:
    """Take room from the disk; yields the file that takes it, and the share of the disk that lies half-way."""
    usage = shutil.disk_usage(folder)
    file = folder / "ballast"
    with file.open("wb") as opened:
        os.posix_fallocate(opened.fileno(), 0, BALLAST)
    try:
        yield file, (usage.free - BALLAST / 2) / usage.total
    finally:
        file.unlink(missing_ok=True)


def test_every_rule_fires_when_it_is_so_and_resolves(
    broker: Cluster, new_daemon: DaemonFactory, tmp_path: Path
) -> None:
    feed, port = Feed(broker, broker.create_topic(partitions=2), ago=86_400), free_port()
    with alertmanager(tmp_path / "alertmanager") as hub, Receiver() as receiver, ballast(tmp_path) as (file, room):
        daemon = new_daemon(
            broker, feed.topic, SETTINGS, DETECTOR_HTTP_PORT=str(port), DETECTOR_WEBHOOK_URL=receiver.url
        )
        feed.write(1000, faulty=0, rejected=0)
        daemon.start().until_said("listening")
        where = f"127.0.0.1:{port}", hub.url.removeprefix("http://")
        file_of_rules = rules.hurried(tmp_path / "rules.yaml", room=room)
        with prometheus(tmp_path / "prometheus", *where, file_of_rules) as asked:
            watched = Watched(asked, hub)
            watched.until_told("DetectorDiskNearlyFull")
            file.unlink()
            watched.until_quiet("DetectorDiskNearlyFull")
            much_is_wrong(watched, daemon, feed)
            much_is_read(watched, broker, feed)
            receiver_is_away(watched, daemon, receiver, feed)
            loop_hangs(watched, daemon)
            disk_is_full(watched, daemon, feed)
            daemon_is_away(watched, daemon)
            watched.until_quiet("DetectorRefitsRefused")
            assert watched.told == rules.alerts()
            assert daemon.terminate() == 0


def much_is_wrong(watched: Watched, daemon: Daemon, feed: Feed) -> None:
    """Faults by the dozen, events that cannot be read, candidates that are refused, a partition that says nothing."""
    feed.write(400, faulty=0.05, rejected=0.3)
    watched.until_told("DetectorOverBudget")
    watched.until_told("DetectorRejectsHigh", lambda: feed.write(5, faulty=0, rejected=0.3))
    watched.until_told("DetectorPartitionIdle", partition="1")

    ask(daemon.store, "refit", {"partition": f"{feed.topic}/0"})

    def decided() -> bool:
        feed.write(5, faulty=0, rejected=0)
        return bool(daemon.said("decision", result="few_rows"))

    daemon.until(decided, "a candidate is refused")
    watched.until_told("DetectorRefitsRefused")


def much_is_read(watched: Watched, broker: Cluster, feed: Feed) -> None:
    """More at once than can be read at once: hours without a fault, which is well below the budget."""
    feed.write(10_000, faulty=0, rejected=0)
    watched.until_told("DetectorLagGrowing")
    watched.until_quiet("DetectorLagGrowing")
    watched.until_quiet("DetectorRejectsHigh")
    watched.until_quiet("DetectorOverBudget")
    watched.until_quiet(
        "DetectorPartitionIdle", lambda: broker.produce(feed.topic, [b"{}"], partition=1), partition="1"
    )
    watched.until_told("DetectorCheckpointOld", lambda: feed.write(1, faulty=0, rejected=0))
    watched.until_quiet("DetectorCheckpointOld", lambda: feed.write(1, faulty=0, rejected=0))


def receiver_is_away(watched: Watched, daemon: Daemon, receiver: Receiver, feed: Feed) -> None:
    """Alerts wait, and at last reading does."""
    receiver.stop()
    watched.until_told("DetectorBlocked", lambda: feed.write(1, faulty=0.3, rejected=0), reason="outbox")
    watched.until_told("DetectorOutboxOld", sink="webhook")
    receiver.start()
    ask(daemon.store, "outbox retry", {"sink": "webhook"})  # rather than wait for the schedule, which may be minutes
    watched.until_quiet("DetectorBlocked", reason="outbox")
    watched.until_quiet("DetectorOutboxOld")


def loop_hangs(watched: Watched, daemon: Daemon) -> None:
    """A reload whose file cannot be read to its end, as on a network drive that is away; then it turns out wrong."""
    good = daemon.text_of_configuration
    daemon.file.unlink()
    os.mkfifo(daemon.file)
    daemon.send(signal.SIGHUP)
    watched.until_told("DetectorHung")
    daemon.file.write_text("lgo: {}\n" + good, encoding="utf-8")
    watched.until_quiet("DetectorHung")
    watched.until_told("DetectorReloadFailed")
    daemon.file.unlink()
    daemon.text_of_configuration = good
    daemon.send(signal.SIGHUP)
    watched.until_quiet("DetectorReloadFailed")


def disk_is_full(watched: Watched, daemon: Daemon, feed: Feed) -> None:
    """Reading waits for room."""
    daemon.fill_disk()
    watched.until_told("DetectorBlocked", lambda: feed.write(1, faulty=0.3, rejected=0), reason="store")
    daemon.make_room()
    watched.until_quiet("DetectorBlocked", reason="store")


def daemon_is_away(watched: Watched, daemon: Daemon) -> None:
    """It is killed, and comes back."""
    daemon.kill()
    watched.until_told("DetectorDown")
    daemon.start()
    watched.until_quiet("DetectorDown")
