"""What is told of models, as metrics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from detector.config.sections import Absence
from detector.models.decision import Decision, Reason
from detector.observing import Observing
from detector.sources.memory import MemoryLog
from detector.store.memory import MemoryStore
from detector.telemetry.metrics import Metrics
from tests.support.member import Member, document, event
from tests.support.models import small
from tests.support.scene import ALERTING, EPOCH, FAULT, INCIDENTS, PARTITION, write

HERE = {"topic": "readings", "partition": "3"}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"detector_{name}", labels)


def decision(rows: int, flagged: int, flagged_before: int) -> Decision:
    return Decision(Reason.ERROR, np.zeros(0, np.int64), rows, 2.5, 2.0, flagged, flagged_before, 20, 19)


def test_what_a_shadow_measured_stands_side_by_side_for_candidate_and_model() -> None:
    metrics = Metrics()
    Observing(metrics).decided(PARTITION, decision(rows=990, flagged=25, flagged_before=10))
    found = {
        whose: [
            value(metrics, f"shadow_{name}", **HERE, of=whose) for name in ("error", "flagged_ratio", "kept_apart_rows")
        ]
        for whose in ("candidate", "model")
    }
    assert found == {
        "candidate": [2.5, pytest.approx(25 / 1000), 19],
        "model": [2.0, pytest.approx(10 / 1000), 20],
    }


def test_a_shadow_that_saw_no_row_flagged_no_share_of_them() -> None:
    metrics = Metrics()
    Observing(metrics).decided(PARTITION, decision(rows=0, flagged=0, flagged_before=0))
    assert value(metrics, "shadow_flagged_ratio", **HERE, of="model") == 0.0


def test_a_partition_that_leaves_takes_its_shadow_along() -> None:
    metrics = Metrics()
    observing = Observing(metrics)
    observing.decided(PARTITION, decision(rows=990, flagged=25, flagged_before=10))
    observing.left(PARTITION)
    assert value(metrics, "shadow_error", **HERE, of="model") is None


class Read:
    """A partition of two hosts, a new normal of which is soon believed, and an absence soon told of."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        detection = small(
            incidents=INCIDENTS,
            alerting=ALERTING,
            absence=Absence(known_for=1000.0, at_least=30.0),
            gate=1.5,
            promote_count=50,
            promote_after=100.0,
        )
        self.member = Member(self.log, MemoryStore(keep_rejects=10), detection)
        write(self.log, 2500)

    def told(self, name: str, **labels: str) -> float | None:
        """Read to the end, and return a metric's value."""
        self.member.read(PARTITION)
        self.member.observing.models(list(self.member.ownership.owned.values()))
        return self.member.sample(name, **labels)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Iterator[Read]:
    """Read a quiet stream, in which gates are set early."""
    monkeypatch.setattr("detector.models.upkeep._EVERY", 8)
    monkeypatch.setattr("detector.models.judging._GATE_ROWS", 100.0)
    monkeypatch.setattr("detector.models.judging._GATED", 0.01)
    made = Read()
    with made.member:
        yield made


def test_what_lies_far_out_is_told_of_in_quarantine_and_as_a_new_normal(read: Read) -> None:
    assert (read.told("rows_quarantined"), read.told("promotions_total")) == (0, 0)
    write(read.log, 60, FAULT, "a")
    assert (read.told("incidents_open", severity="critical"), read.told("promotions_total")) == (1, 0)
    waiting = read.told("rows_quarantined")
    assert waiting is not None
    assert 30 < waiting <= 60
    write(read.log, 400, FAULT, "a")
    assert (read.told("promotions_total"), read.told("rows_quarantined")) == (1, 0)
    assert read.told("incidents_resolved_total", reason="recovered") == 1
    assert read.told("incidents_open", severity="critical") == 0


def test_the_share_of_rows_that_are_flagged_stands_beside_the_one_that_was_asked_for(read: Read) -> None:
    assert read.told("flagged_target_ratio") == pytest.approx(ALERTING.false_alarm_rate)
    usual = read.told("flagged_observed_ratio")
    write(read.log, 60, FAULT, "a")
    with_fault = read.told("flagged_observed_ratio")
    assert usual is not None
    assert with_fault is not None
    assert usual < 5e-3 < with_fault < 60 / 1000


def test_a_host_that_falls_silent_is_told_of_as_absent_until_it_speaks(read: Read) -> None:
    assert (read.told("entities_absent"), read.told("entities_active")) == (0, 2)
    for second in range(2500, 2600):
        read.log.append(PARTITION, document(event("a", 50.0, 50.0, 50.0)), timestamp=1000 * (EPOCH + second))
    assert read.told("entities_absent") == 1
    read.log.append(PARTITION, document(event("b", 50.0, 50.0, 50.0)), timestamp=1000 * (EPOCH + 2600))
    read.log.append(PARTITION, document(event("a", 50.0, 50.0, 50.0)), timestamp=1000 * (EPOCH + 2620))
    assert read.told("entities_absent") == 0
    assert read.told("incidents_resolved_total", reason="returned") == 1


def test_a_model_grows_older_by_event_time_and_its_version_is_that_of_its_partition(read: Read) -> None:
    before = read.told("model_age_seconds")
    write(read.log, 300)
    after = read.told("model_age_seconds")
    assert before is not None
    assert after == pytest.approx(before + 300, abs=10)
    assert read.told("model_version", **HERE) == read.told("model_info", version="1") == 1
    assert read.told("entities_learning", mode="learn") == 2
