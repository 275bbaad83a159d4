from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detector.models.decision import Reason, Seen, decide

TARGET = 1e-3


def seen(changes: dict[str, float] | None = None, slots: int = 1) -> Seen:
    """Return what a shadow counted of a candidate that passes, but for `changes`, which hold for every slot."""
    values = {
        "rows": 10_000.0,
        "error": 9_000.0,
        "error_before": 10_000.0,
        "flagged": 12.0,
        "flagged_before": 11.0,
        "apart": 100.0,
        "still_flagged": 95.0,
    }
    return Seen(**{name: np.full(slots, value) for name, value in {**values, **(changes or {})}.items()})


def test_a_better_candidate_that_flags_what_the_model_does_is_adopted() -> None:
    decision = decide(seen(), np.ones(1, np.bool_), TARGET)
    assert (decision.reason, decision.slots.tolist()) == (Reason.ADOPTED, [0])
    assert decision.sentence().startswith("adopted: error 0.9 after 1")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rows": 60.0}, Reason.FEW_ROWS),
        ({"error": 10_001.0}, Reason.ERROR),
        ({"still_flagged": 89.0}, Reason.KEPT_APART),
        ({"still_flagged": 90.0}, Reason.ADOPTED),
        ({"flagged": 60.0}, Reason.ALERT_RATE),
        ({"flagged": 60.0, "flagged_before": 60.0}, Reason.ADOPTED),
        ({"apart": 0.0, "still_flagged": 0.0}, Reason.ADOPTED),
    ],
)
def test_each_condition_refuses_with_its_reason(changes: dict[str, float], reason: Reason) -> None:
    decision = decide(seen(changes), np.ones(1, np.bool_), TARGET)
    assert decision.reason is reason
    assert decision.adopted == (reason is Reason.ADOPTED)
    assert len(decision.slots) == decision.adopted


def test_a_candidate_that_absorbed_a_burst_is_refused_though_error_and_alert_rate_are_better() -> None:
    """The figures that design.md gives: error 7.8 -> 4.7, alert rate .052 -> .002, burst flagged 100 % -> 0 %."""
    better = {"error": 47_000.0, "error_before": 78_000.0, "flagged": 20.0, "flagged_before": 520.0}
    burst = seen({**better, "apart": 500.0, "still_flagged": 0.0})
    decision = decide(burst, np.ones(1, np.bool_), TARGET)
    assert decision.reason is Reason.KEPT_APART
    assert decision.sentence() == "refused: it flags only 0 of 500 rows that were kept apart"


def test_slots_are_adopted_each_for_itself() -> None:
    three = seen(slots=3)
    three = replace(three, error=np.array([9_000.0, 11_000.0, 9_000.0]), still_flagged=np.array([95.0, 95.0, 0.0]))
    assert decide(three, np.ones(3, np.bool_), TARGET).slots.tolist() == [0]
    assert decide(three, np.array([False, True, False]), TARGET).reason is Reason.ERROR
    assert decide(three, np.array([False, True, True]), TARGET).reason is Reason.ERROR
    assert decide(three, np.array([False, False, True]), TARGET).reason is Reason.KEPT_APART
