"""Incidents, against a state machine that takes one row at a time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config.detection import Detection
from detector.config.load import parse
from detector.models.bank import Bank
from detector.models.copying import Copying
from detector.models.incident_rules import Rules
from detector.models.incident_state import Ending, without_shares
from detector.models.incidents import BELOW_OPEN_AFTER, WITHIN_INCIDENT, Incidents
from detector.models.progress import Anomaly, Transition
from detector.models.seen import Seen
from detector.models.shape import Shape
from detector.models.slots import Slots
from detector.types import Float64, Phase, Position, Reason, Severity

HOSTS = ["a", "b", "c"]
RATE = 0.01
RULES = Rules(
    n=1,
    m=1,
    lower=3.0,
    critical=0.01,
    repeat_interval=40.0,
    quiet_rows=4,
    quiet_time=20.0,
    least_rows=1,
    chance=0.0,
    silence=math.inf,
    paced=False,
    fault_count=1.0,
    parted=True,
)


def started(rules: Rules = RULES, hosts: Sequence[str] = HOSTS) -> Incidents:
    """Return the incidents of three slots or so, one a host, all seen at time 0."""
    bank = Bank(Shape(features=2, centroids=1, rows=16, keyed=True), seed_rows=8)
    slots = Slots(bank, len(hosts), lambda _: {})
    slots.find(hosts)
    bank.last_seen[:] = 0.0
    return Incidents(bank, slots, Copying(bank, slots), rules)


def anomaly(row: int) -> Anomaly:
    nothing = np.zeros(0, np.float32)
    return Anomaly(row, 0.0, False, 0.0, None, 2.0, 1, 0, 0, nothing.astype(np.float64), nothing, nothing)  # noqa: FBT003


def seen(slots: list[int], rates: list[float], times: list[float], start: int = 0, **changes: Any) -> Seen:
    """Return rows of one record each, all judged."""
    n = len(slots)
    of_slots, of_rates, at = np.array(slots, np.int64), np.array(rates), np.array(times)
    parts = np.stack([np.arange(start, start + n) % 7 + 1, np.ones(n)], 1).astype(np.float32)
    made = Seen(
        of_slots,
        np.arange(start, start + n),
        np.zeros(n, np.int32),
        at,
        at,
        of_rates,
        np.ones(n, np.bool_),
        of_rates <= RATE,
        of_rates <= RATE * RULES.critical,
        parts,
        parts,
        np.ones(n, np.float32),
        RATE,
        1e-6,
        anomaly,
    )
    return made._replace(**changes)


@dataclass
class Host:
    """What the state machine knows of one host."""

    open: bool = False
    history: list[bool] = field(default_factory=list)
    first: int = -1
    sequence: int = 0
    start: float = 0.0
    told: float = 0.0
    loud: float = 0.0
    quiet: int = 0
    stray: int = 0
    rows: int = 0
    count: int = 0
    burst: int = 0
    least: float = 1.0
    critical: bool = False
    shares: list[Float64] = field(default_factory=list)


def step(host: Host, rules: Rules, rows: Seen, i: int) -> tuple[Phase, Reason | None] | None:
    """Take one row in, as the documentation says it."""
    rate, time, parts = float(rows.rates[i]), float(rows.times[i]), rows.parts[i].astype(np.float64)
    flagged = rate <= RATE
    if not host.open:
        host.history = [*host.history, flagged][-rules.m :]
        if not flagged or sum(host.history) < rules.n:
            return None
        host.__dict__ |= Host(True, [], i, 1, time, time, time).__dict__  # noqa: FBT003
        host.burst = 1
        host.rows, host.count, host.least, host.critical = 1, 1, rate, rate <= RATE * rules.critical
        host.shares = [parts / parts.sum()]
        return Phase.OPEN, None
    host.rows += 1
    host.least = min(host.least, rate)
    if flagged:
        host.count += 1
        host.burst += 1
        host.shares.append(parts / parts.sum())
    under = rate > rules.lower * RATE
    if under and rules.parted and host.burst - 1 <= rules.fault_count:
        host.burst = 0
    host.quiet, host.stray = host.quiet + 1, host.stray + (not under)
    by_chance = rate > RATE * rules.critical and host.stray <= rules.chance * (rules.lower * RATE) * host.quiet
    if not under and not by_chance:
        host.quiet, host.stray, host.loud = 0, 0, time
    lasting = host.quiet >= rules.least_rows and time - host.loud >= rules.quiet_time
    happened: tuple[Phase, Reason] | None = None
    if under and (host.quiet >= rules.quiet_rows or lasting):
        host.open, happened = False, (Phase.RESOLVE, Reason.RECOVERED)
    elif not host.critical and rate <= RATE * rules.critical:
        host.critical, happened = True, (Phase.UPDATE, Reason.SEVERITY)
    elif time - host.told >= rules.repeat_interval:
        happened = Phase.UPDATE, Reason.REPEAT
    if happened:
        host.sequence, host.told = host.sequence + 1, time
    return happened


def one_by_one(rules: Rules, rows: Seen) -> tuple[list[tuple[object, ...]], list[bool]]:
    """Return what happens, and which rows are faulty."""
    hosts, told, faulty = [Host() for _ in HOSTS], [], []
    for i in range(len(rows.slots)):
        host = hosts[rows.slots[i]]
        dense = host.burst - 1 > rules.fault_count and host.count - 1 > 10 * RATE * host.rows
        faulty.append(host.open and dense)
        happened = step(host, rules, rows, i)
        if happened:
            shares = np.sum(host.shares, 0) / host.count
            told.append((i, *happened, HOSTS[rows.slots[i]], host.first, host.sequence, host.count, host.critical,
                         -math.log10(host.least), float(rows.times[i]) - host.start, *shares.round(9)))  # fmt: skip
    return told, faulty


def compared(transition: Transition) -> tuple[object, ...]:
    t = transition
    assert t.anomaly is not None
    assert t.peak_at_least is (t.peak >= 6.0)
    return (t.position.offset, t.phase, t.reason, t.entity, t.first.offset, t.sequence, t.count,
            t.severity is Severity.CRITICAL, t.peak, t.duration, *t.shares.round(9))  # fmt: skip


def part(rows: Seen, at: slice) -> Seen:
    arrays: dict[str, Any] = {
        name: value[at] for name, value in rows._asdict().items() if isinstance(value, np.ndarray)
    }
    return rows._replace(**arrays)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    opening=st.sampled_from([(1, 1), (2, 3), (3, 3), (2, 63)]),
    resolve=st.sampled_from(
        [
            (4, math.inf, 1, 0.0),
            (math.inf, 20.0, 1, 0.0),
            (8, 9.0, 1, 0.0),
            (math.inf, 9.0, 6, 0.0),
            (math.inf, 30.0, 6, 9.0),
        ]
    ),
    parted=st.booleans(),
    pieces=st.lists(st.integers(1, 60), min_size=1, max_size=20),
)
def test_rows_taken_together_do_what_rows_taken_one_by_one_do(
    seed: int, opening: tuple[int, int], resolve: tuple[float, float, float, float], *, parted: bool, pieces: list[int]
) -> None:
    rng, n = np.random.default_rng(seed), 300
    fault = np.repeat(rng.random((n // 20, 3)) < 0.3, 20, 0)
    slots = rng.integers(0, 3, n)
    rates = np.where(fault[np.arange(n), slots], 10.0 ** rng.uniform(-6, -1, n), rng.uniform(0.005, 1, n))
    rates[rng.random(n) < 0.02] = 1e-7
    times = np.cumsum(rng.exponential(1.0, n)).tolist()
    ends: dict[str, Any] = dict(zip(("quiet_rows", "quiet_time", "least_rows", "chance"), resolve, strict=True))
    rules = RULES._replace(n=opening[0], m=opening[1], parted=parted, **ends)
    rows = seen(slots.tolist(), np.maximum(rates, 1e-6).tolist(), times)
    expected, expected_faulty = one_by_one(rules, rows)
    incidents, told, faulty, at = started(rules), list[Transition](), list[bool](), 0
    while at < n:
        size = pieces[at % len(pieces)]
        some, within, _ = incidents.follow(part(rows, slice(at, at + size)))
        told += some
        faulty += within.tolist()
        at += size
    assert [compared(transition) for transition in told] == expected
    assert faulty == expected_faulty
    messages = sum(bool(rows.flagged[transition.position.offset]) for transition in told)
    assert incidents.suppressed.total() == int(rows.flagged.sum()) - messages
    whole = started(rules)
    again, *_ = whole.follow(rows)
    assert [t.shares.tobytes() for t in again] == [t.shares.tobytes() for t in told], "bits depend on the pieces"
    everyone = np.arange(3)
    assert whole._bank.incidents_of(everyone).tobytes() == incidents._bank.incidents_of(everyone).tobytes()


def test_rows_that_give_no_message_are_counted_by_why() -> None:
    incidents = started(RULES._replace(n=2, m=3))
    incidents.follow(seen([0, 0, 0, 0, 0, 0], [1e-3, 1.0, 1.0, 1e-3, 1e-3, 1e-3], [0.0] * 6))
    assert incidents.suppressed == Counter({BELOW_OPEN_AFTER: 2, WITHIN_INCIDENT: 1})


def test_rows_that_are_not_judged_change_nothing() -> None:
    incidents = started()
    rows = seen([0, 0, 1], [1e-3, 1e-9, 1e-9], [0.0, 1.0, 1.0])
    told, faulty, _ = incidents.follow(rows._replace(judged=np.array([True, False, False])))
    assert [t.phase for t in told] == [Phase.OPEN]
    assert not faulty.any()
    assert told[0].severity is Severity.WARNING


def test_as_many_incidents_open_at_once_as_there_are_hosts() -> None:
    hosts = [f"host-{number:02d}" for number in range(100)]
    incidents = started(hosts=hosts)
    told, _, _ = incidents.follow(seen(list(range(100)), [1e-3] * 100, [0.0] * 100))
    assert sorted(each.entity or "" for each in told) == hosts == incidents.entities()
    incidents.end(range(100), Reason.FORGOTTEN)
    assert [ending.facts.count for ending in incidents.ending] == [1] * 100


def test_hosts_that_stopped_resolve_at_the_next_block_in_the_order_in_which_they_opened() -> None:
    incidents = started(RULES._replace(silence=100.0))
    incidents._bank.last_seen[:3] = [5.0, 4.0, 50.0]
    incidents.follow(seen([2, 1, 0], [1e-3] * 3, [4.0, 4.0, 5.0]))
    assert incidents.begin_block(seen([2], [1.0], [103.9], start=9)) == []
    told = incidents.begin_block(seen([2], [1.0], [105.0], start=10))
    assert [(t.entity, t.reason, t.first, t.sequence) for t in told] == [
        ("b", Reason.NO_DATA, Position(1), 2),
        ("a", Reason.NO_DATA, Position(2), 2),
    ]
    assert {(t.position, t.time, t.anomaly) for t in told} == {(Position(10), 105.0, None)}
    assert incidents.entities() == ["c"]
    assert [t.entity for t in incidents.begin_block(seen([2], [1.0], [150.0], start=11))] == ["c"]
    assert incidents.begin_block(seen([2], [1.0], [1e9], start=12)) == []


def test_what_speaks_seldom_is_silent_after_twenty_usual_pauses_and_as_of_the_opening() -> None:
    incidents = started(RULES._replace(silence=100.0, paced=True))
    bank = incidents._bank
    bank.interval[:3] = [4.0, 6.0, np.nan]
    incidents.follow(seen([0, 1, 2], [1e-3] * 3, [0.0] * 3))
    bank.interval[:3] = 1000.0
    assert incidents.begin_block(seen([2], [1.0], [99.0], start=3)) == []
    again = Incidents(bank, incidents._slots, incidents._copying, incidents.rules)
    again.restore(incidents.entities(), incidents.ending, {})
    assert [t.entity for t in again.begin_block(seen([2], [1.0], [119.0], start=4))] == ["a", "c"]
    assert [t.entity for t in again.begin_block(seen([2], [1.0], [120.0], start=5))] == ["b"]


def test_what_ended_at_a_boundary_is_told_by_the_next_row_whatever_became_of_its_slot() -> None:
    incidents = started()
    incidents.follow(seen([0, 1], [1e-3, 1e-5], [0.0, 0.0]))
    assert incidents.by_severity() == (1, 1)
    incidents.end([0, 1, 2], Reason.FORGOTTEN)
    assert incidents.by_severity() == (0, 0)
    other = started()
    other.restore([], incidents.ending, {})
    told = other.begin_block(seen([2], [1.0], [7.0], start=5))
    assert [(t.entity, t.reason, t.position, t.duration) for t in told] == [
        ("a", Reason.FORGOTTEN, Position(5), 7.0),
        ("b", Reason.FORGOTTEN, Position(5), 7.0),
    ]
    assert told[0].shares.sum() == pytest.approx(1.0)
    assert other.begin_block(seen([2], [1.0], [8.0], start=6)) == []


def test_shares_of_features_that_have_changed_since_are_not_told() -> None:
    incidents = started()
    incidents.follow(seen([0], [1e-3], [0.0]))
    incidents.end([0], Reason.FORGOTTEN)
    incidents.ending = [without_shares(ending) for ending in incidents.ending]
    assert isinstance(incidents.ending[0], Ending)
    assert incidents.begin_block(seen([2], [1.0], [7.0], start=5))[0].shares.tolist() == [0.0, 0.0]


def test_open_incidents_are_taken_up_again() -> None:
    incidents = started(RULES._replace(silence=100.0))
    incidents.follow(seen([1], [1e-3], [0.0]))
    again = Incidents(incidents._bank, incidents._slots, incidents._copying, incidents.rules)
    again.restore(incidents.entities(), incidents.ending, incidents.labels_by_entity())
    assert again.open == incidents.open == {1}
    assert [t.entity for t in again.begin_block(seen([2], [1.0], [100.0], start=1))] == ["b"]


def test_what_is_graver_than_any_rate_can_tell_is_critical() -> None:
    """The least rate that a reference supports may be more than a hundredth of the one asked for."""
    incidents, least = started(), 0.5 * RATE
    opened, *_ = incidents.follow(seen([0], [least], [1.0]))
    risen, *_ = incidents.follow(seen([0], [least], [2.0], start=1, grave=np.ones(1, np.bool_)))
    assert [(each.phase, each.severity) for each in opened] == [(Phase.OPEN, Severity.WARNING)]
    assert [(each.reason, each.severity) for each in risen] == [(Reason.SEVERITY, Severity.CRITICAL)]


DEFAULT = Rules.of(
    Detection.of(parse("source: {kind: kafka, topics: [a]}\nevents: {features: [a]}\n", "c.yaml", environ={}))
)


def phases(rates: Sequence[float] | Float64, interval: float, pieces: int = 1000) -> list[tuple[int, Phase]]:
    """Return what happens, at which row, to one host with default settings, whose rows come so many seconds apart."""
    incidents, told = started(DEFAULT._replace(lower=10**0.5), ["a"]), list[Transition]()
    for start in range(0, len(rates), pieces):
        if any(t.phase is Phase.RESOLVE for t in told):
            break
        some = list(rates[start : start + pieces])
        times = [interval * (start + i) for i in range(len(some))]
        told += incidents.follow(seen([0] * len(some), some, times, start=start))[0]
    return [(t.position.offset, t.phase) for t in told if t.phase is not Phase.UPDATE]


def test_what_speaks_seldom_is_calm_after_twenty_rows_and_what_speaks_often_after_five_minutes() -> None:
    fault = [1e-3, 1.0, 1e-3]
    assert phases([*fault, *[1.0] * 19], 300.0) == [(0, Phase.OPEN)]
    assert phases([*fault, *[1.0] * 30], 300.0) == [(0, Phase.OPEN), (22, Phase.RESOLVE)]
    assert phases([*fault, *[1.0] * 400], 1.0) == [(0, Phase.OPEN), (302, Phase.RESOLVE)]


def fast(seconds: float, seed: int = 1) -> Float64:
    """Return rates of normal rows that come 25 a second; one in 32 is beyond the lower threshold by chance."""
    return np.random.default_rng(seed).uniform(0, 1, int(25 * seconds)).clip(2e-4)


@pytest.mark.parametrize("seed", range(3))
def test_an_incident_of_a_fast_stream_ends_although_chance_puts_rows_beyond_the_threshold(seed: int) -> None:
    rates = fast(1200.0, seed)
    rates[: 25 * 60] = 1e-3
    (opened, _), (resolved, phase), *_ = phases(rates, 0.04)
    assert (opened, phase) == (0, Phase.RESOLVE)
    assert 300.0 <= 0.04 * resolved - 60.0 <= 900.0


@pytest.mark.parametrize("kind", ["every tenth row", "a burst every four minutes", "all rows"])
def test_a_fault_of_a_fast_stream_that_lasts_is_one_incident(kind: str) -> None:
    rates, at = fast(1800.0), np.arange(45_000)
    every = {"every tenth row": at % 10 == 0, "a burst every four minutes": at % 6000 < 1500, "all rows": at >= 0}
    rates[every[kind] & (at < 30_000)] = 2e-3
    happened = phases(rates, 0.04)
    assert [phase for _, phase in happened[:2]] == [Phase.OPEN, Phase.RESOLVE]
    assert happened[1][0] > 30_000
