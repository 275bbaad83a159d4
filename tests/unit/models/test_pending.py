"""What is usual of a slot is taken up once it has proved to be no fault's beginning."""

from __future__ import annotations

import numpy as np

from detector.models import pending
from detector.models.calibration import prior

QUANTILE = 3.0


class Slot:
    """One slot that knows 2,000 rows with a 95 % quantile of 3 and a mean excess of .5."""

    def __init__(self) -> None:
        self.states = np.zeros(1, np.dtype(pending.state_of()))
        self.states["sketch"] = self.states["pending"] = [QUANTILE, 0.5, 2000.0]

    def follow(self, rows: int, distance: float, *, far: bool = False, faulty: bool = False, new: bool = False) -> None:
        """Follow so many rows of one distance, a block each."""
        slots = np.zeros(1, np.int64)
        for _ in range(rows):
            pending.follow(
                self.states,
                slots,
                np.array([distance]),
                far=np.array([far]),
                faulty=np.array([faulty]),
                promoted=np.array([new]),
            )

    @property
    def quantile(self) -> float:
        return float(self.states["sketch"][0, 0])


def test_what_is_usual_is_taken_up_after_256_rows() -> None:
    slot = Slot()
    slot.follow(255, 3.2)
    assert slot.quantile == QUANTILE
    slot.follow(1, 3.2)
    assert slot.quantile > QUANTILE + 0.05


def test_it_is_not_while_rows_are_far_out_unless_that_is_how_the_slot_is_now() -> None:
    slot = Slot()
    slot.follow(2047, 6.0, far=True)
    assert slot.quantile == QUANTILE
    slot.follow(1, 6.0, far=True)
    assert slot.quantile > 5.0


def test_what_a_fault_began_with_is_forgotten_when_its_incident_shows_it() -> None:
    slot = Slot()
    slot.follow(200, 5.0, far=True)
    slot.follow(100, np.nan, faulty=True)
    slot.follow(300, 2.9)
    assert abs(slot.quantile - QUANTILE) < 0.1


def test_what_is_promoted_is_taken_up_at_once() -> None:
    slot = Slot()
    slot.follow(20, 6.0, far=True, new=True)
    assert slot.quantile > QUANTILE + 0.1


def test_a_young_slot_settles_by_a_quarter_of_what_it_knows_at_a_time() -> None:
    slot = Slot()
    slot.states["sketch"] = slot.states["pending"] = prior(4)
    slot.follow(1, 1.0)
    assert slot.states["sketch"][0, 2] == 1.0
    slot.follow(40, 1.0)
    known = slot.states["sketch"][0, 2]
    slot.follow(int(known / 4) - 1, 1.0)
    assert slot.states["sketch"][0, 2] <= known * 1.25 + 1


def test_slots_do_not_touch_each_other() -> None:
    states = np.repeat(Slot().states, 3)
    rows = np.array([2, 0, 2, 0])
    distances, no = np.array([4.0, 2.0, 4.0, 2.0]), np.zeros(4, np.bool_)
    for _ in range(200):
        pending.follow(states, rows, distances, far=no, faulty=no, promoted=no)
    assert states["sketch"][0, 0] < QUANTILE < states["sketch"][2, 0]
    assert states[1] == Slot().states[0]
