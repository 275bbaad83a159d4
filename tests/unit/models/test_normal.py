"""What becomes normal, and what does not: days of one entity's readings, with the defaults of the preset `metrics`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from detector.config.detection import Detection
from detector.config.sections import Config
from detector.models.learning import QUARANTINE
from detector.models.partition import PartitionModel
from detector.types import ControlKind, ControlRecord, Float64
from tests.support.models import DictStore, rows

DAY = 86400.0
STEP = 20.0
"""Seconds between two readings."""


def detection(preset: str = "metrics", **sections: Any) -> Detection:
    """Four features of an entity; a block holds a hundred seconds, so that upkeep comes every two hours."""
    given: dict[str, Any] = {
        "preset": preset,
        "source": {"kind": "computer"},
        "events": {"features": ["a", "b", "c", "d"], "entity": "host"},
        "blocks": {"tick": 100},
        "alerting": {"false_alarm_rate": 1e-4},
    }
    return Detection.of(Config.model_validate(given | sections))


@dataclass
class Days:
    """Readings: times in days, values [n, 4]; then what the model made of them."""

    times: Float64
    values: Float64
    flagged: Float64
    distance: Float64
    model: PartitionModel

    @classmethod
    def of(cls, days: float, *, rhythm: float = 0.0, step: float = STEP) -> Days:
        """Return so many days of plain readings, with a daily rhythm of that amplitude."""
        n = int(days * DAY / step)
        times = np.arange(n) * step / DAY
        values = 50.0 + np.random.default_rng(3).normal(size=(n, 4))
        values += rhythm * np.sin(2.0 * np.pi * times[:, None] + [0.0, 0.7, 1.4, 2.1])
        return cls(times, values, np.zeros(n), np.zeros(n), None)  # type: ignore[arg-type]

    def within(self, start: float, end: float) -> slice:
        """Return the readings between two days."""
        first, last = np.searchsorted(self.times, [start, end]).tolist()
        return slice(first, last)

    def judged(self, given: Detection | None = None, *controls: ControlRecord) -> Days:
        """Let a model take them all."""
        self.model = DictStore().model(given or detection())
        self.model.control(controls)
        progress = self.model.advance(rows(self.values, self.times * DAY, ["host"] * len(self.times)))
        assert progress.taken == len(self.times)
        self.flagged[progress.flagged], self.distance = 1.0, progress.distance.astype(np.float64)
        return self

    def share(self, start: float, end: float) -> float:
        """Return the share of the readings between two days that were anomalous."""
        return float(self.flagged[self.within(start, end)].mean())


def test_a_lasting_anomaly_of_nine_tenths_of_promote_after_is_anomalous_to_its_end() -> None:
    days = Days.of(2.2)
    days.values[days.within(1.0, 1.9), 1] += 12.0
    days.judged()
    before = days.flagged[days.within(0.5, 1.0)]
    assert (np.diff(before) > 0).sum() <= 1, "smoothed scores are far out together: that is one chance, not several"
    assert days.share(1.01, 1.9) == 1.0
    assert days.share(2.0, 2.2) == 0.0, "what was normal before still is"
    assert days.model.changes["promotions"] == 0


def accepted(days: Days, size: float) -> None:
    """Let a change last: within a tenth more than `promote_after` it is accepted, from one reading to the next."""
    days.values[days.within(1.0, 2.3), 1] += size
    days.judged()
    assert days.share(1.01, 2.0) == 1.0
    assert days.model.changes["promotions"] == 1
    assert days.share(2.2, 2.3) == 0.0, "the smoothed score has followed"
    late = days.distance[days.within(2.0, 2.1)]
    fell = int(np.flatnonzero(late < 0.5 * np.median(late[:10]))[0])
    assert 0 < fell < len(late) - 50
    before, after = np.quantile(late[:fell], 0.05), np.quantile(late[fell:], 0.95)
    assert before > 1.3 * after, "the first centroid of a new normal counts at once"


def test_a_lasting_change_of_eleven_tenths_of_promote_after_is_accepted_and_counts_at_once() -> None:
    accepted(Days.of(2.3), 12.0)


def test_a_change_is_accepted_all_the_same_where_each_day_has_its_rhythm() -> None:
    accepted(Days.of(2.3, rhythm=3.0), 30.0)


@pytest.mark.parametrize(("lasts", "promotions"), [(0.9, 0), (1.1, 1)])
def test_of_what_speaks_every_five_minutes_a_change_is_accepted_no_later(lasts: float, promotions: int) -> None:
    """In a day it has 288 rows, of which 500 can not be; and 64 blocks of an hour each take longer than a day, too."""
    days = Days.of(16.2, step=300.0)
    days.values[days.within(15.0, 15.0 + lasts), 1] += 12.0
    days.judged(detection(blocks={"tick": 3600}, alerting={"false_alarm_rate": 1e-3}))
    assert days.share(15.02, 15.0 + min(lasts, 1.0)) == 1.0
    assert days.model.changes["promotions"] == promotions
    assert days.model.bank.interval[0] == pytest.approx(300.0)


def test_a_nightly_job_becomes_normal_and_hides_no_daytime_fault_in_another_feature() -> None:
    days = Days.of(4.6)
    for night in range(1, 5):
        days.values[days.within(night, night + 0.02), :2] += 12.0
    days.values[days.within(4.5, 4.52), 3] += 12.0
    days.judged(detection(model={"promote_count": 120}))
    assert days.share(1.0, 1.02) == 1.0, "the first night"
    assert days.model.changes["promotions"] == 1
    assert days.share(3.0, 3.02) < 0.15, "its scores are about the threshold, which is a matter of chance"
    assert days.share(4.0, 4.02) == 0.0
    assert days.share(4.501, 4.52) == 1.0


def test_a_leak_beyond_the_gate_does_not_become_normal_however_long_it_lasts() -> None:
    days = Days.of(3.5)
    leaking = days.within(1.5, 3.5)
    days.values[leaking, 2] += 8.0 + 24.0 * (days.times[leaking] - 1.5)
    days.judged()
    assert days.share(1.51, 3.5) == 1.0
    assert days.model.changes["promotions"] == 0


SAID = 870
"""A little more than a day, in blocks."""


def said(mode: str) -> ControlRecord:
    return ControlRecord(SAID, ControlKind.LEARNING, {"pattern": "host", "mode": mode})


def test_what_is_frozen_is_scored_as_before_and_changes_nothing_that_decides() -> None:
    days = Days.of(2.0)
    days.values[days.within(1.2, 2.0), 1] += 12.0
    days.judged(None, said("freeze"))
    before = Days.of((100.0 * SAID + STEP) / DAY).judged()  # the last one begins the block that is open then
    bank, other = days.model.bank, before.model.bank
    assert days.share(1.21, 2.0) == 1.0
    for name in ("centroids", "traits", "times", "rows_learned", "sketches"):
        assert getattr(bank, name)[0].tobytes() == getattr(other, name)[0].tobytes(), name
    assert days.model.reference.counts.tobytes() == before.model.reference.counts.tobytes()
    assert days.model.quarantine.rows == 0


def test_without_a_learning_gate_quarantine_keeps_what_alerts_from_being_learned() -> None:
    learned, lasted = {}, int(0.15 * DAY / STEP)
    for mode in ("learn", "quarantine"):
        days = Days.of(1.35)
        days.values[days.within(1.2, 1.35), 1] += 12.0
        days.judged(detection("events"), said(mode))
        learned[mode] = int(days.model.bank.rows_learned[0])
        if mode == "quarantine":
            assert days.model.bank.modes[0] == QUARANTINE
            assert days.model.quarantine.rows > 0.95 * lasted
            assert days.share(1.2, 1.35) > 0.95
        else:
            assert days.model.quarantine.rows == 0
    assert learned["learn"] - learned["quarantine"] > 0.95 * lasted
