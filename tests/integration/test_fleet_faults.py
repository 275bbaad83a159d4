"""The faults of a simulated fleet are found by the default configuration, and little else is."""

from __future__ import annotations

import numpy as np

from detector.app import Models
from detector.cli.demo_report import Incident, grade
from detector.config.detection import Detection
from detector.config.sections import Config
from detector.sources import fleet
from detector.sources.simulation import simulate
from detector.types import Partition, Phase, Rows


def test_most_faults_of_a_fleet_are_found_and_few_alarms_are_false() -> None:
    made = simulate(7, hosts=25, days=2, faults_a_day=0.8)
    config = {"source": {"kind": "computer"}, "preset": "metrics"}
    events = fleet.events_section().model_dump(exclude={"registry"})
    detection = Detection.of(Config.model_validate({**config, "events": events}))
    model = Models()(Partition("fleet", 0), detection, lambda _: {})
    steps, hosts, features = made.values.shape
    found: dict[tuple[object, str | None], Incident] = {}
    for first in range(0, steps, 120):
        part = made.values[first : first + 120]
        n = len(part) * hosts
        times = np.repeat(made.times[first : first + 120], hosts)
        numbers = np.arange(first * hosts, first * hosts + n)
        rows = Rows(numbers, np.zeros(n, np.int32), times, part.reshape(n, features), list(made.hosts) * len(part))
        for told in model.advance(rows).transitions:
            if told.kind == "anomaly" and told.entity is not None:
                end = told.time if told.phase is Phase.RESOLVE else np.inf
                found[told.first, told.entity] = Incident(told.entity, told.start, end)
    graded = grade(made.faults, found.values())
    assert graded.total.injected >= 15
    assert graded.total.found >= 0.85 * graded.total.injected
    assert graded.false_alarms <= 0.2 * graded.total.injected
