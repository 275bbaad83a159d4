"""What `detector demo` runs: the daemon itself, with a source, a store and a webhook receiver of its own."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

from rich.console import Console

from detector.app import Daemon, daemon
from detector.cli.demo_receiver import Receiver
from detector.cli.demo_report import Report, grade, incidents_of
from detector.cli.demo_snapshot import Finding, Snapshot, Subject, received
from detector.cli.demo_view import View, open_view
from detector.cli.demo_watch import Watcher
from detector.config.sections import Config, Events, Log
from detector.observing import Observing
from detector.pipeline import Observer
from detector.protocols import Source
from detector.quality.presets import Settings
from detector.service import Signals
from detector.sources import computer, fleet, readings
from detector.sources.simulated_faults import UNITS as FLEET_UNITS
from detector.sources.simulation import simulate
from detector.telemetry import logs

_FRAME_SECONDS = 0.25
_ALERTS_SHOWN = 20
_DELIVERY_SECONDS = 60.0

_COMPUTER_SETTINGS: dict[str, Any] = {
    "source": {"kind": "computer"},
    "blocks": {"tick": "2s"},
    "model": {"centroids": 4, "seed_rows": 32, "warm_up": 40, "half_life": {"events": 5000}},
    # A demo is watched for a minute, not for months: it alerts sooner and oftener than a daemon should.
    "alerting": {"false_alarm_rate": 3e-3, "warm_up": 200, "reference": 10_000},
    "incidents": {"resolve_after": "10s"},
    "checkpoint": {"interval": "2s"},
}
_FLEET_SETTINGS: dict[str, Any] = {"source": {"kind": "computer"}, "preset": "metrics"}


def run_computer(seconds: float | None) -> int:
    """Watch this computer until Ctrl-C, or for so many seconds."""
    subject = Subject("this computer", readings.UNITS)
    with _demo(subject, Console(), _COMPUTER_SETTINGS, computer.events_section(), None) as demo:
        demo.run(seconds)
    return 0


def run_fleet(settings: Settings, *, seed: int, hosts: int, seconds: float | None, as_json: bool) -> int:
    """Replay a simulated fleet, with settings before the preset's, and grade what was received."""
    simulated = simulate(seed, hosts=hosts)
    console = Console(stderr=as_json)
    subject = Subject(f"a simulated fleet of {hosts} hosts", FLEET_UNITS, "%a %H:%M", UTC)
    with _demo(
        subject, console, {**_FLEET_SETTINGS, **settings}, fleet.events_section(), fleet.FleetSource(simulated)
    ) as demo:
        demo.run(seconds)
        elapsed = time.monotonic() - demo.watcher.began
        demo.daemon.ownership.settle()
        demo.daemon.delivery.drain(_DELIVERY_SECONDS)
    report = Report(grade(simulated.faults, incidents_of(demo.received)), demo.watcher.events, elapsed)
    console.print(report.table())
    if as_json:
        print(report.as_json())  # noqa: T201 - this is what --json is for
    return 0


@contextmanager
def _demo(
    subject: Subject, console: Console, settings: dict[str, Any], events: Events, source: Source | None
) -> Iterator[_Demo]:
    logs.configure(Log(level="warning"))
    alerts: list[Finding] = []
    signals = Signals()
    with (
        signals.caught(),  # first, so that the folder is removed whenever a signal comes
        tempfile.TemporaryDirectory(prefix="detector-demo-") as folder,
        Receiver(lambda body: alerts.append(received(body))) as receiver,
    ):
        config = Config.model_validate(
            settings
            | {
                "events": events.model_dump(exclude={"registry"}),
                "sinks": [
                    {
                        "kind": "webhook",
                        "direct": True,
                        "url": receiver.url,
                        "secrets": [receiver.secret],
                        "allow_networks": ["127.0.0.0/8"],
                    }
                ],
                "store": {"path": Path(folder)},
                "http": {"enabled": False},
            }
        )
        watcher: Watcher | None = None

        def watch(observing: Observing) -> Observer:
            nonlocal watcher
            watcher = Watcher(observing)
            return watcher

        with daemon(config, source=source, watch=watch) as built, open_view(subject, console) as view:
            assert watcher is not None
            yield _Demo(built, config, watcher=watcher, view=view, alerts=alerts, signals=signals)


class _Demo:
    """A demo put together. `received` is what the receiver has got of incidents, oldest first."""

    def __init__(  # noqa: PLR0913 - its parts
        self, built: Daemon, config: Config, *, watcher: Watcher, view: View, alerts: list[Finding], signals: Signals
    ) -> None:
        self.daemon = built
        self.watcher = watcher
        self.received = alerts
        self._config = config
        self._view = view
        self._signals = signals
        self._started = time.monotonic()
        self._shown = self._started
        self._events_shown = 0
        self._rate = 0.0

    def run(self, seconds: float | None) -> None:
        """Run until a signal, the end of the source, or for so many seconds."""

        def stopped() -> bool:
            now = time.monotonic()
            if now - self._shown >= _FRAME_SECONDS:
                self._show(now)
            return self._signals.stop or (seconds is not None and now - self._started >= seconds)

        self.daemon.service.run(stopped)
        self._show(time.monotonic())

    def _show(self, now: float) -> None:
        watcher = self.watcher
        elapsed, self._shown = now - self._shown, now
        rate = (watcher.events - self._events_shown) / max(elapsed, 1e-3)
        self._events_shown = watcher.events
        self._rate = rate if self._rate == 0 else 0.8 * self._rate + 0.2 * rate
        incidents = incidents_of(self.received)
        self._view.update(
            Snapshot(
                seconds=now - self._started,
                state=self._state(),
                events=watcher.events,
                events_per_second=self._rate,
                entities=sum(len(owned.model.slots) for owned in self.daemon.ownership.owned.values()),
                scores=list(watcher.scores),
                threshold=self._threshold(),
                top=watcher.top,
                alerts=self.received[-_ALERTS_SHOWN:],
                alert_count=len(self.received),
                incidents=(len(incidents), sum(not math.isfinite(each.end) for each in incidents)),
            )
        )

    def _threshold(self) -> float:
        """Return the score from which on events are anomalous; none is, before there is a partition."""
        return min((owned.model.budget.threshold for owned in self.daemon.ownership.owned.values()), default=math.inf)

    def _state(self) -> str:
        """Say whether it watches already, or how far it has learned, and what."""
        needed = self._config.alerting.warm_up
        models = [owned.model for owned in self.daemon.ownership.owned.values()]
        if not models:
            return "starting"
        held = min(model.reference.total for model in models)
        if held >= needed:
            return "watching"
        if held:
            return f"learning what is usual: {held:.0f} of {needed} events"
        # The scores of an entity count once it is known, and only then anything is held.
        first = max(max(model.detection.model.warm_up, model.bank.seed_rows) for model in models)
        known = max(
            (int(model.bank.rows_learned[model.slots.resident_slots()].max(initial=0)) for model in models), default=0
        )
        return f"learning each entity: {known} of {first} events" if known < first else "learning what is usual"
