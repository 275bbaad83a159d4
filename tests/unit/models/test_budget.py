"""From incidents a day to a rate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from detector.config.sections import Alerting
from detector.models.budget import DAY, LEAST_RATE, MOST_RATE, Budget, Running, Shortfall


def budget(words: str = "5/day", running: Running | None = None) -> Budget:
    return Budget(Alerting.model_validate({"budget": words}), running or Running(trust=1.0))


def watched(made: Budget, days: float, *, rows: int, exceedances: int = 0, incidents: int = 0) -> Budget:
    """Let so many days pass in blocks of ten minutes, with so many rows, exceedances and incidents each day."""
    start, blocks = made.running.time or 0.0, round(days * 144)
    made.learn(0, start, supported=0.0)
    for block in range(1, blocks + 1):
        if block % 144 == 0:
            made.saw(exceedances=exceedances, incidents=incidents)
        made.learn(rows // 144, start + 600.0 * block, supported=0.0)
    return made


def test_a_rate_that_is_given_is_the_rate() -> None:
    made = Budget(Alerting(false_alarm_rate=1e-3), Running(rate=0.5))
    watched(made, 2, rows=14_400)
    assert (made.rate, made.threshold, made.asked, made.shortfall) == (1e-3, 3.0, None, None)


def test_the_rate_follows_from_the_budget_and_from_how_many_rows_there_are_a_day() -> None:
    assert watched(budget(), 3, rows=144_000).rate == pytest.approx(5 / 144_000)
    assert watched(budget("35/week"), 3, rows=144_000).rate == pytest.approx(5 / 144_000)


def test_incidents_of_several_rows_let_more_rows_alert() -> None:
    made = watched(budget(), 30 - 1 / 144, rows=144_000, exceedances=30, incidents=5)
    assert made.rate == pytest.approx(6 * 5 / 144_000, rel=0.1)
    assert made.observed == pytest.approx(5.0, rel=0.1)


def test_a_new_partition_is_trusted_a_tenth_and_earns_the_rest_by_incidents_that_do_not_come() -> None:
    made = budget(running=Running())
    assert watched(made, 0.1, rows=144_000).rate == pytest.approx(0.1 * 5 / 144_000, rel=0.2)
    assert watched(made, 1, rows=144_000).rate == pytest.approx(0.1 * math.exp(1.1) * 5 / 144_000, rel=0.05)
    assert watched(made, 2, rows=144_000).rate == pytest.approx(5 / 144_000)


def test_a_partition_that_slept_for_years_is_trusted_again() -> None:
    made = watched(budget(running=Running()), 1, rows=144_000)
    made.learn(1000, (made.running.time or 0.0) + 3650 * DAY, supported=0.0)
    assert made.running.trust == 1.0


def test_want_of_trust_does_not_go_below_what_the_reference_supports() -> None:
    made = watched(budget(running=Running()), 0.1, rows=144_000)
    made.learn(1000, made.running.time or 0.0, supported=2e-5)
    assert made.rate == 2e-5
    made.learn(1000, made.running.time or 0.0, supported=1e-3)
    assert made.rate == pytest.approx(5 / 144_000, rel=0.2)


def test_more_incidents_than_were_asked_for_lower_the_rate_to_a_tenth_at_least() -> None:
    made = watched(budget(), 1, rows=144_000)
    made.saw(exceedances=3, incidents=3)
    made.learn(1000, made.running.time or 0.0, supported=0.0)
    assert made.rate == pytest.approx(math.exp(-0.6) * 5 / 144_000, rel=0.05)
    watched(made, 3, rows=144_000, exceedances=40, incidents=40)
    assert made.rate == pytest.approx(0.1 * 5 / 144_000, rel=0.05)


@pytest.mark.parametrize("off", [1.0, 4.0])
@pytest.mark.parametrize("words", ["1/week", "5/day", "100/day"])
def test_what_is_asked_for_is_what_comes_though_the_tail_were_wrong(words: str, off: float) -> None:
    """Incidents by chance are `off` times as many as the reference says: where it is right, hardly fewer come."""
    made, rng = budget(words, Running()), np.random.default_rng(7)
    asked, came, days, blocks = made.asked or 0.0, 0, 1000.0, 20_000
    for block in range(blocks):
        told = int(rng.poisson(off * made.running.trust * asked * days / blocks))
        came += told if block >= blocks // 5 else 0
        made.saw(exceedances=told, incidents=told)
        made.learn(1000, days * 86400.0 * block / blocks, supported=0.0)
    assert 0.6 < came / (asked * days * 0.8) < 1.3


def test_partitions_share_a_budget_and_each_entity_has_its_own() -> None:
    shared = budget()
    shared.share(4)
    assert watched(shared, 3, rows=144_000).rate == pytest.approx(5 / 144_000 / 4)
    each = budget("1/week per entity")
    each.share(4)
    each.saw(entities=70)
    each.saw(entities=-14)
    watched(each, 3, rows=144_000)
    assert each.asked == pytest.approx(8.0)
    assert each.rate == pytest.approx(8 / 144_000)


def test_the_rate_has_bounds_and_a_budget_beyond_them_says_so() -> None:
    many = watched(budget("1/week"), 2, rows=14_400_000)
    assert (many.rate, many.shortfall) == (LEAST_RATE, Shortfall.TOO_MANY_EVENTS)
    few = watched(budget("5/day"), 2, rows=144)
    assert (few.rate, few.shortfall) == (MOST_RATE, Shortfall.TOO_FEW_EVENTS)
    assert watched(budget(), 2, rows=144_000).shortfall is None
    assert watched(budget(), 5, rows=144_000, incidents=60).shortfall is Shortfall.TOO_MANY_INCIDENTS
    assert budget().shortfall is None


def test_a_budget_that_needs_rarer_rates_than_its_reference_can_tell_says_so() -> None:
    alerting = Alerting.model_validate({"budget": "1/week", "reference": 1000})
    assert watched(Budget(alerting, Running(trust=1.0)), 2, rows=14_400).shortfall is Shortfall.REFERENCE_TOO_SMALL
    assert watched(budget("1/week"), 2, rows=14_400).shortfall is None


def test_a_rate_is_held_against_the_share_of_rows_that_were_flagged() -> None:
    made = Budget(Alerting(false_alarm_rate=1e-3), Running())
    assert made.flagged_share == 0.0
    made.saw(judged=20_000, flagged=30, incidents=30)
    watched(made, 0.1, rows=14_400)
    assert made.flagged_share == pytest.approx(1.5e-3)
    assert made.shortfall is None
    made.saw(judged=1000, flagged=60, incidents=1)
    watched(made, 0.1, rows=14_400)
    assert made.flagged_share == pytest.approx(90 / 21_000, rel=0.01)
    assert made.shortfall is Shortfall.TOO_MANY_ROWS


def test_the_past_fades_by_event_time() -> None:
    made = watched(budget(), 7, rows=144_000)
    watched(made, 70, rows=14_400)
    assert made.rate == pytest.approx(5 / 14_400, rel=0.02)
    assert watched(budget(), 1, rows=144_000).running.time == DAY


def test_what_was_saved_goes_on_as_it_was() -> None:
    made = watched(budget(), 3, rows=144_000, exceedances=3, incidents=2)
    again = budget(running=made.running)
    for one in (made, again):
        watched(one, 1, rows=28_800, incidents=1)
    assert again.running == made.running
