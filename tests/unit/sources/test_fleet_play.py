from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from detector.sources.fleet_play import Step, play
from detector.sources.simulated_faults import FEATURES
from detector.sources.simulation import days_of, simulate

BEGIN, SPEED = 1_795_608_000.0, 120.0
DAYS = 3


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    days = days_of(3, hosts=4, faults_a_day=1.0)
    return list(itertools.islice(play(days, hosts=4, begin=BEGIN, speed=SPEED), DAYS * 1440))


def test_the_first_day_is_the_past_and_the_next_begins_at_the_beginning(steps: list[Step]) -> None:
    assert steps[1440].time == BEGIN
    assert np.allclose(np.diff([step.time for step in steps]), 0.5)
    assert not any(step.faults for step in steps[:1440])


def test_events_are_the_fleet_s_samples_keyed_by_host(steps: list[Step]) -> None:
    fleet = simulate(3, hosts=4, faults_a_day=1.0)
    for n in (0, 1439, 1440, 4000):
        assert [event.key.decode() for event in steps[n].events] == list(fleet.hosts)
        told = [json.loads(event.value) for event in steps[n].events]
        assert [event["host"] for event in told] == list(fleet.hosts)
        assert {event["timestamp"] for event in told} == {round(steps[n].time * 1000)}
        assert [[event["metrics"][name] for name in FEATURES] for event in told] == fleet.values[n].tolist()


def test_a_fault_is_told_with_its_first_sample_in_the_time_of_the_play(steps: list[Step]) -> None:
    told = [(step.time, fault) for step in steps for fault in step.faults]
    assert [fault._replace(start=0.0, end=0.0) for _, fault in told] == [
        fault._replace(start=0.0, end=0.0) for fault in simulate(3, hosts=4, faults_a_day=1.0).faults
    ]
    for time, fault in told:
        assert fault.start == pytest.approx(time, abs=1e-3)
        assert fault.start <= fault.end < fault.start + 720 * 60 / SPEED
