"""What the other features foretell of each, learned by slot, at block boundaries, from rows that may be learned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from detector.models import pending
from detector.models.blocks import Block
from detector.models.relations import Relations, inverted
from detector.models.relations_state import Related, begun, state_of
from detector.models.shape import Rules
from detector.types import Bool, Float32

HOUR = 3600.0
RULES = Rules(promote_count=50, promote_after=HOUR)


class Slots:
    """Three slots of three features: b is twice a, c is on its own."""

    def __init__(self, rules: Rules = RULES, slots: int = 3) -> None:
        self.relations = Relations(3, rules)
        self.states: NDArray[np.void] = np.repeat(begun(3), slots)
        self.time = 0.0
        self._rng = np.random.default_rng(1)

    def rows(self, n: int) -> Float32:
        a, noise, c = self._rng.normal(size=(3, n))
        return np.stack([1 + a, 2 * a + 0.1 * noise, c], 1).astype(np.float32)

    def block(self, rows: Float32, slots: list[int] | int = 0) -> Block:
        places = np.broadcast_to(np.array(slots, np.int64), len(rows)).copy()
        return Block(0, rows, places, places >= 0, self.time)

    def judge(self, rows: Float32, slots: list[int] | int = 0) -> Related:
        return self.relations.judge(self.states, self.block(rows, slots))

    def learn(self, rows: Float32, slots: list[int] | int = 0, *, unusual: bool = False, **given: Any) -> Bool:
        self.time += 60.0
        block = self.block(rows, slots)
        masks = {"able": block.usable, "learned": block.usable} | given
        odd = np.full(len(rows), unusual)
        return self.relations.learn(
            self.states, block, self.judge(rows, slots), unusual=odd, interval=np.full(len(rows), np.nan), **masks
        )

    def taught(self, rows: int = 1000, slots: list[int] | int = 0) -> Slots:
        for _ in range(rows // 20):
            self.learn(self.rows(20), slots)
        return self


def test_nothing_is_judged_before_enough_rows_are_known() -> None:
    slots = Slots()
    slots.learn(slots.rows(60))
    assert np.isnan(slots.judge(slots.rows(3)).distance).all()
    slots.learn(slots.rows(60))
    assert np.isfinite(slots.judge(slots.rows(3)).distance).all()


def test_a_value_that_is_usual_but_not_with_the_others_is_far_out_and_named() -> None:
    slots = Slots().taught()
    plain, broken = slots.judge(np.array([[2, 2, 0], [2, -2, 0]], np.float32)).distance
    assert plain < 1.0
    assert broken > 10.0
    parts = slots.judge(np.array([[2, -2, 0]], np.float32)).parts[0]
    assert parts[:2].sum() > 0.98 * parts.sum()


def test_what_was_expected_is_what_the_others_foretell() -> None:
    slots = Slots().taught()
    expected = slots.judge(np.array([[2, -2, 0]], np.float32)).expected[0]
    assert expected[1] == pytest.approx(2, abs=0.3)


def test_the_inverse_is_that_of_the_correlations() -> None:
    rng = np.random.default_rng(2)
    roots = rng.normal(size=(5, 7, 9))
    matrices = roots @ roots.transpose(0, 2, 1) + np.eye(7)
    np.testing.assert_allclose(inverted(matrices), np.linalg.inv(matrices), rtol=1e-9, atol=1e-12)


def test_moments_are_those_of_all_rows_however_they_fall_into_blocks() -> None:
    slots = Slots(Rules())
    rows = slots.rows(60)
    for start, end in ((0, 1), (1, 17), (17, 60)):
        slots.learn(rows[start:end])
    np.testing.assert_allclose(slots.states["mean"][0], rows.mean(0), rtol=1e-6)
    covariance = np.cov(rows.T, bias=True)[np.triu_indices(3)]
    np.testing.assert_allclose(slots.states["moments"][0], covariance, rtol=1e-4)


def test_the_past_fades_by_events_and_by_time() -> None:
    by_events = Slots(Rules(half_life_events=60))
    by_time = Slots(Rules(half_life_time=60.0))
    for slots in (by_events, by_time):
        slots.learn(slots.rows(60))
        slots.learn(slots.rows(60))
        assert slots.states["weight"][0] == pytest.approx(90)


def test_slots_do_not_touch_each_other_in_whatever_order_their_rows_come() -> None:
    together, alone = Slots(), Slots()
    for _ in range(20):
        rows = together.rows(30)
        places = together._rng.integers(0, 2, 30)
        together.learn(rows, (2 * places).tolist())
        alone.learn(rows[places == 1], 1)
    assert together.states[2].tobytes() == alone.states[1].tobytes()
    assert together.states[1].tobytes() == begun(3).tobytes()


def test_a_slot_alone_in_a_block_is_judged_as_among_others() -> None:
    slots = Slots().taught(slots=[0, 1] * 10)
    rows = slots.rows(4)
    among = slots.judge(rows, [0, 1, 0, 1])
    alone = slots.judge(rows[[0, 2]], 0)
    assert among.distance[[0, 2]].tobytes() == alone.distance.tobytes()
    assert among.parts[[0, 2]].tobytes() == alone.parts.tobytes()


def test_one_row_at_a_time_is_judged_as_all_at_once() -> None:
    slots = Slots().taught()
    rows = slots.rows(5)
    rows[1:3] = rows[0]
    together = slots.judge(rows)
    for n in range(1, 6):
        so_far = slots.judge(rows[:n])
        assert so_far.distance.tobytes() == together.distance[:n].tobytes()


def test_a_sensor_that_is_stuck_is_further_out_with_each_row() -> None:
    slots = Slots().taught()
    rows = slots.rows(8)
    rows[:, 2] = rows[0, 2]
    found = slots.judge(rows)
    assert found.runs[:, 2].tolist() == list(range(8))
    assert (np.diff(found.parts[:, 2]) >= 0).all()
    assert found.parts[7, 2] == pytest.approx(100, abs=10)


def test_a_stuck_sensor_does_not_become_usual_while_it_is_stuck() -> None:
    slots = Slots().taught()
    for _ in range(30):
        rows = slots.rows(20)
        rows[:, 2] = 0.5
        slots.learn(rows)
    assert slots.judge(rows[:1]).parts[0, 2] > 50


def test_a_run_no_longer_than_usual_is_no_surprise_however_seldom_runs_begin() -> None:
    slots = Slots()
    for _ in range(20):
        slots.taught(60)
        idle = slots.rows(20)
        idle[:, 2] = 0.5
        slots.learn(idle)
    slots.taught(20)
    idle = slots.rows(19)
    idle[:, 2] = 0.5
    assert slots.judge(idle).parts[-1, 2] < 10
    longer = slots.rows(80)
    longer[:, 2] = 0.5
    found = slots.judge(longer).parts[:, 2]
    assert found[-1] > found[18] + 5


def test_how_long_a_sensor_was_stuck_is_not_how_long_it_usually_stands_still() -> None:
    slots = Slots().taught()
    for unusual in (False, *[True] * 9):
        stuck = slots.rows(20)
        stuck[:, 2] = 0.5
        slots.learn(stuck, unusual=unusual)
    slots.learn(slots.rows(20), unusual=True)
    slots.taught(100)
    again = slots.rows(10)
    again[:, 2] = 0.5
    assert slots.judge(again).parts[-1, 2] > 10


def test_a_constant_feature_is_no_surprise() -> None:
    slots = Slots()
    for _ in range(30):
        rows = slots.rows(20)
        rows[:, 2] = 7.0
        slots.learn(rows)
    assert slots.judge(rows).parts[:, 2].max() < 3.0


def test_a_missing_feature_is_left_out_and_the_rest_stands_for_it() -> None:
    slots = Slots().taught()
    rows = np.array([[2, -2, np.nan], [np.nan, 2, 0]], np.float32)
    found = slots.judge(rows)
    assert found.parts[0, 2] == found.parts[1, 0] == 0.0
    assert found.distance[0] == pytest.approx(np.sqrt(1.5 * found.parts[0].astype(float).sum()), rel=1e-6)


def test_a_feature_that_turns_up_late_begins_where_it_is() -> None:
    slots = Slots()
    rows = slots.rows(40)
    rows[:20, 1] = np.nan
    slots.learn(rows[:20])
    assert np.isnan(slots.states["mean"][0, 1])
    slots.learn(rows[20:])
    assert slots.states["mean"][0, 1] == pytest.approx(0, abs=2)


def test_unusual_rows_teach_nothing_until_they_are_what_is_normal() -> None:
    slots = Slots().taught()
    before = slots.states["moments"][0].copy()
    odd = np.array([[2, -2, 0]] * 10, np.float32)
    promoted = [bool(slots.learn(odd, unusual=True).any()) for _ in range(70)]
    assert promoted == 60 * [False] + 10 * [True]  # an hour
    assert (slots.states["moments"][0] != before).any()


def test_what_is_unusual_now_and_then_is_not_promoted() -> None:
    slots = Slots().taught()
    for _ in range(5):
        assert not slots.learn(np.array([[2, -2, 0]] * 20, np.float32), unusual=True).any()
        slots.time += HOUR
    assert slots.states["unusual"][0] == 20


def test_what_is_unusual_again_and_again_within_the_time_is_promoted() -> None:
    slots = Slots().taught()
    promoted = []
    for _ in range(5):
        promoted.append(bool(slots.learn(np.array([[2, -2, 0]] * 20, np.float32), unusual=True).any()))
        slots.time += 0.5 * HOUR
    assert promoted == [False, False, True, True, True]


def test_slots_that_may_not_learn_stay_as_they_are() -> None:
    slots = Slots().taught(200)
    before = slots.states.copy()
    nobody = np.zeros(20, np.bool_)
    slots.learn(slots.rows(20), able=nobody, learned=nobody)
    assert slots.states.tobytes() == before.tobytes()


def test_rows_beyond_the_gate_teach_no_relation_but_are_the_last_values() -> None:
    slots = Slots().taught(200)
    before, rows = slots.states["moments"][0].copy(), slots.rows(20)
    slots.learn(rows, learned=np.zeros(20, np.bool_))
    assert (slots.states["moments"][0] == before).all()
    assert (slots.states["last"][0] == rows[-1]).all()


def test_rows_without_a_slot_are_passed_over() -> None:
    slots = Slots()
    slots.learn(slots.rows(20), -1)
    assert slots.states.tobytes() == np.repeat(begun(3), 3).tobytes()


def test_vast_values_and_copies_of_a_feature_stay_finite() -> None:
    slots = Slots()
    for _ in range(20):
        rows = slots.rows(20)
        rows[:, 1] = rows[:, 0]
        rows[:, 2] *= 1e37
        slots.learn(rows)
    rows[0] = [-1e38, 3e38, 0.0]
    found = slots.judge(rows)
    assert np.isfinite(found.distance).all()
    assert np.isfinite(found.parts).all()


def test_a_slot_takes_as_much_memory_as_the_settings_say() -> None:
    assert state_of(8).itemsize < 1400
    assert state_of(32).itemsize < 9000


def test_the_view_counts_once_what_it_knows_has_held_for_long_enough() -> None:
    slots, first = Slots(), np.array([0])
    for _ in range(61):
        rows = slots.rows(20)
        found = slots.judge(rows)
        assert not slots.relations.count(slots.states, first)[0]
        slots.learn(rows)
        no = np.zeros(20, np.bool_)
        pending.follow(slots.states, np.zeros(20, np.int64), found.distance, far=no, faulty=no, promoted=no)
    assert slots.relations.count(slots.states, first)[0]
