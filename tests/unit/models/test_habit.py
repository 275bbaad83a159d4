"""Habit: what of a slot's time was faulty, until when its faults are held, and whose rows are not for all to go by."""

from __future__ import annotations

import numpy as np
import pytest

from detector.config.detection import Detection
from detector.config.sections import Config
from detector.models.bank import Bank
from detector.models.habit import Few, Held, follow
from detector.models.shape import Shape
from detector.types import Bool
from tests.support.models import DictStore, rows

DAY = 86_400.0


def started(interval: float = 60.0) -> Bank:
    bank = Bank(Shape(1, 2, 256, keyed=True), 8)
    bank.reserve(3)
    bank.clear(np.arange(3))
    bank.interval[:3] = interval
    return bank


def block(bank: Bank, slots: list[int], faulty: list[bool]) -> Held:
    return follow(
        bank, np.array(slots, np.int64), np.ones(len(slots), np.bool_), np.array(faulty, np.bool_), promote_after=DAY
    )


def days(bank: Bank, number: float, *, faulty: bool) -> Bool:
    """Let slot 0 be faulty, or not, for so many days; returns which of its rows are held, of blocks of ten."""
    return np.concatenate([block(bank, [0] * 10, [faulty] * 10).faulty for _ in range(round(number * 144))])


@pytest.mark.parametrize(("rows_of_each", "interval"), [(1, 5.0), (250, 0.04), (1, 30.0), (1, 60.0), (10, 60.0)])
def test_one_fault_is_held_for_promote_after(rows_of_each: int, interval: float) -> None:
    bank, blocks = started(interval), round(1.5 * DAY / (rows_of_each * interval))
    held = np.array([block(bank, [0] * rows_of_each, [True] * rows_of_each).faulty.all() for _ in range(blocks)])
    assert held.mean() == pytest.approx(2.0 / 3.0, rel=0.02)
    assert held[: held.sum()].all(), "and then no more"


def test_what_may_not_learn_has_no_habits() -> None:
    bank, frozen = started(), np.zeros(10, np.bool_)
    for _ in range(300):
        held = follow(bank, np.zeros(10, np.int64), frozen, ~frozen, promote_after=DAY)
    assert held.faulty.all()
    assert not bank.faulty_share.any()


def test_faults_of_more_than_a_third_of_each_day_become_a_habit() -> None:
    bank = started()
    held = []
    for _ in range(20):
        held.append(days(bank, 0.5, faulty=True).mean())
        days(bank, 0.5, faulty=False)
    assert held[0] == 1.0
    assert max(held[10:]) < 0.7


def test_faults_of_less_than_a_third_of_each_day_do_not() -> None:
    bank = started()
    for _ in range(20):
        assert days(bank, 0.25, faulty=True).all()
        days(bank, 0.75, faulty=False)


def test_a_slot_is_beset_for_days_behind_a_fault_and_not_for_ever() -> None:
    bank = started()
    days(bank, 0.1, faulty=True)
    quiet = 0
    while block(bank, [0, 1], [False, False]).beset.tolist() == [True, False]:
        quiet += 1
    assert 2.0 < quiet / 1440 < 8.0
    days(bank, 8.0, faulty=False)
    assert bank.faulty_share[0] == 0.0


def test_rows_without_a_slot_and_slots_of_unknown_pace_are_left_as_they_are() -> None:
    bank = started(interval=np.nan)
    assert block(bank, [-1, 0, 1], [False, True, False]).faulty.tolist() == [False, True, False]
    assert not bank.faulty_share[:3].any()


def test_anomalous_rows_of_few_slots_are_left_out_and_those_of_many_are_not() -> None:
    few, every = Few(), np.ones(4096, np.bool_)
    of_one_in_four = np.arange(4096) % 4 == 0
    for _ in range(20):
        assert few.left_out(of_one_in_four, every).tolist() == of_one_in_four.tolist()
    for _ in range(20):
        left_out = few.left_out(every, every)
    assert not left_out.any()


def test_hosts_whose_faults_come_and_go_do_not_move_what_the_others_are_judged_by() -> None:
    rng, hosts, calm, count = np.random.default_rng(1), 30, 288 * 4, 288 * 8
    values = rng.normal(50.0, 2.0, (count, hosts))
    noisy = np.arange(count - calm)[:, None] % 288 < 144
    values[calm:, :2] += np.where(noisy, rng.normal(0.0, 40.0, (count - calm, 2)), 0.0)
    config = {"source": {"kind": "computer"}, "preset": "metrics", "events": {"features": ["load"], "entity": "host"}}
    model = DictStore().model(Detection.of(Config.model_validate(config)))
    names = [f"host-{host}" for host in range(hosts)]
    for start, end in ((0, calm), (calm, count)):
        some = values[start:end]
        times = 1.8e9 + np.repeat(300.0 * np.arange(start, end), hosts)
        model.advance(rows(some.reshape(-1, 1), times, names * len(some), start * hosts))
        if not start:
            before = model.reference.threshold(1e-3)
            model.bank.sketches[:, :, 2] = 20_000.0  # as after many weeks
    assert model.reference.threshold(1e-3) < 1.5 * before
