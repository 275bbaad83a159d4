"""The first of the six ideas: what is detected is a function of the log and of its control records alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

import detector.owned
from detector.config.detection import Detection
from detector.config.sections import Config
from detector.features.layout import column_names
from detector.models.known import Known
from detector.models.learning import QUARANTINE
from detector.models.shape import form, shape_of
from detector.models.versions import Version
from detector.sources.memory import MemoryLog
from detector.store.memory import MemoryStore
from detector.types import ControlKind, ControlRecord, Partition
from tests.support.worker import Scores, Worker, final_state, kept_events, outbox

pytestmark = pytest.mark.timeout(900)
"""Programs of several shapes are compiled in a test, which takes long where others hold the cores."""

PARTITIONS = (Partition("features", 0), Partition("features", 1))
EPOCH = 1_800_000_000


def detection(**changes: Any) -> Detection:
    """Small blocks, few rows to warm up and a high rate, so that a short log goes through everything."""
    settings: dict[str, Any] = {
        "source": {"kind": "kafka", "topics": ["features"]},
        "events": {"features": ["a", "b", "c"], "entity": "host", "timestamp": {"path": "ts", "unit": "s"}},
        "blocks": {"rows": 16, "tick": 10},
        "entities": {"limit": 6, "evict_after": 20, "forget_after": 600},
        "model": {"centroids": 3, "seed_rows": 8, "warm_up": 8, "half_life": {"events": 200, "time": 3000}},
        "alerting": {"false_alarm_rate": 0.05, "warm_up": 100, "reference": 2000},
        "incidents": {"resolve_after": {"rows": 4, "time": 15}, "repeat_interval": 8, "no_data_after": 60},
        "absence": {"known_for": 100, "factor": 1, "at_least": 20, "give_up": 90, "share": 0.4},
    } | changes
    return Detection.of(Config.model_validate(settings))


FIRST = detection()
SAME_FORM = detection(
    alerting={"false_alarm_rate": 0.1, "warm_up": 100, "reference": 1000, "critical_decades": 0.5},
    incidents={"open_after": {"rows": 2, "of": 5}, "resolve_after": 60, "no_data_after": None},
)
OTHER_FORM = detection(model={"centroids": 2, "seed_rows": 8, "warm_up": 8})


def metrics(direction: str = "rise", **model: Any) -> Detection:
    """The other preset, with members, relations, a filter, and a quarantine that a log of minutes fills and empties."""
    short = {
        "centroids": 3,
        "seed_rows": 8,
        "warm_up": 8,
        "members": 2,
        "promote_after": 60,
        "relations": True,
    }
    alerting = {"false_alarm_rate": 0.1, "warm_up": 100, "reference": 2000}
    features = ["a", {"name": "b", "filter": {"direction": direction, "min_relative_deviation": 0.02}}, "c"]
    events = {
        "features": features,
        "entity": "host",
        "timestamp": {"path": "ts", "unit": "s"},
        "labels": {"began": "a"},
    }
    return detection(
        events=events,
        preset="metrics",
        alerting=alerting,
        incidents={"repeat_interval": 8},
        model={**short, "half_life": {"events": 200}, "gate": 1.0, **model},
    )


METRICS = metrics()
BUDGET = detection(alerting={"budget": "200/hour", "warm_up": 100, "reference": 2000})
SAME_METRICS = metrics("both", smoothing=[2, 20, 200], gate=1.5)


def transformed(**changes: Any) -> Detection:
    """Every transform and every way to fill in; c is a counter that often falls."""
    features = [
        {"name": "a", "transforms": [{"ema": 3}, "difference", {"lags": 2}], "missing": "previous"},
        {"name": "b", "transforms": ["log1p"], "missing": "zero"},
        {"name": "c", "transforms": ["rate", "log1p", {"lags": 1}]},
    ]
    events = {"features": features, "entity": "host", "timestamp": {"path": "ts", "unit": "s"}}
    return detection(events={**events, "cycles": ["hour_of_day", "day_of_week"]}, **changes)


TRANSFORMED = transformed()
CHANGES = [
    (FIRST, None),
    (FIRST, SAME_FORM),
    (FIRST, OTHER_FORM),
    (METRICS, None),
    (BUDGET, None),
    (BUDGET, FIRST),
    (METRICS, SAME_METRICS),
    (METRICS, FIRST),
    (OTHER_FORM, METRICS),
    (TRANSFORMED, None),
    (TRANSFORMED, transformed(alerting={"false_alarm_rate": 0.1, "warm_up": 100, "reference": 1000})),
    (FIRST, TRANSFORMED),
]
"""What a partition begins with, and what it takes up at a boundary."""


@pytest.fixture(scope="module", autouse=True)
def early_upkeep() -> Iterator[None]:
    """Let upkeep, gates, quarantine and relations act within a short log."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("detector.models.upkeep._EVERY", 8)
        patch.setattr("detector.models.incident_rules.CALM_TIME", 9.0)
        patch.setattr("detector.models.incident_rules.CALM_ROWS", 3)
        patch.setattr("detector.models.incident_rules.NO_DATA_TIME", 30.0)
        patch.setattr("detector.models.pace.LONG", 5.0)
        patch.setattr("detector.models.pace._LEAST", 4.0)
        patch.setattr("detector.models.judging._GATE_ROWS", 20.0)
        patch.setattr("detector.models.judging._GATED", 0.2)
        patch.setattr("detector.models.relations._FIRST", 20)
        patch.setattr("detector.models.relations._FIRST_A_FEATURE", 2)
        patch.setattr("detector.models.relations._ENOUGH", 20.0)
        yield


def write_log(seed: int, records: int) -> MemoryLog:
    """Write a log with all that may come: many rows a record, late and early rows, gaps, rejects, missing values."""
    rng, log = np.random.default_rng(seed), MemoryLog()
    for partition in PARTITIONS:
        time = EPOCH
        for _ in range(records):
            time += int(rng.choice([0, 1, 3, 12, 700], p=[0.35, 0.4, 0.2, 0.045, 0.005]))
            rows = [_event(rng, time) for _ in range(int(rng.integers(1, 6)))]
            value = json.dumps(rows if len(rows) > 1 or rng.random() < 0.5 else rows[0]).encode()
            if rng.random() < 0.02:
                value = value[:-3]
            log.append(partition, value, timestamp=1000 * time)
            if rng.random() < 0.03:
                log.skip(partition, int(rng.integers(1, 4)))
    return log


def _event(rng: np.random.Generator, time: int) -> dict[str, Any]:
    host = int(rng.integers(0, 9) if rng.random() < 0.2 else rng.integers(0, 4))
    values = rng.normal(loc=[0, 100, 1e6], scale=[1, 5 + host, 3])
    if rng.random() < 0.02:
        values[int(rng.integers(0, 3))] *= 3
    if host == 1 and time > EPOCH + 600:
        values[2] *= 1.5  # for good
    event: dict[str, Any] = dict(zip("abc", values.tolist(), strict=True))
    for name in "abc":
        if rng.random() < 0.05:
            event[name] = None if rng.random() < 0.8 else "broken"
    late = int(rng.choice([0, 0, 0, 5, -15, 100_000_000], p=[0.3, 0.3, 0.3, 0.06, 0.03, 0.01]))
    return event | {"host": f"host-{host}", "ts": time - late}


SAID = (
    (0, "host-2", "freeze"),
    (5, "host-*", "quarantine"),
    (12, "host-3", "freeze"),
    (25, "host-[35]", "default"),
    (40, "*", "default"),
    (50, "host-?", "quarantine"),
)
"""What operators say of learning, so many blocks later."""


GIVEN = (
    (3, "normal", "host-0", 0.0, None),
    (7, "fault", None, 6.0, None),
    (15, "normal", None, 3.0, 400.0),
    (22, "fault", "host-2", 2.0, 900.0),
    (35, "undo", "normal host-0", 0.0, None),
    (45, "undo", "fault None", 0.0, None),
)
"""Feedback so many blocks later: a verdict, whose rows, how far from what is usual, and for how long."""


def feedback(of: Detection, verdict: str, entity: str | None, away: float, lasts: float | None) -> dict[str, Any]:
    """Return what a control record says of a region."""
    if verdict == "undo":
        return {"undo": entity, "by": "test", "at": 0.0}
    names = column_names(of.events)
    centre, scale = np.resize([0.0, 100.0, 1e6], len(names)), np.resize([1.0, 5.0, 3.0], len(names))
    return {
        "id": f"{verdict} {entity}",
        "verdict": verdict,
        "entity": entity,
        "until": None if lasts is None else EPOCH + lasts,
        "features": names,
        "centre": [None if i % 5 == 4 else float(value + away) for i, value in enumerate(centre)],
        "scale": scale.tolist(),
    }


def version(of: Detection, made_for: int, seed: int) -> dict[str, Any]:
    """Return what a decision or a rollback carries: another model for some entities, one unknown among them."""
    rng, shape = np.random.default_rng(seed), shape_of(of)
    names = tuple(f"host-{i}" for i in (0, 1, 2, 77))
    n, c, d = len(names), shape.all_centroids, shape.features
    centre, spread = np.resize([0.0, 100.0, 1e6], d), np.resize([1.0, 5.0, 3.0], d)
    centroids = centre + rng.normal(size=(n, c, d)) * spread
    wins = np.full((n, c), 1000.0, np.float32)
    proven = Version(
        names,
        centroids.astype(np.float32),
        rng.uniform(1, 100, (n, c)).astype(np.float32),
        rng.uniform(0, 2, (n, c)).astype(np.float32),
        wins,
        np.full((n, c), EPOCH - 1e6),
        np.full((n, c), float(EPOCH)),
        np.tile(spread**2, (n, 1)).astype(np.float32),
        np.tile([[2.0, 0.5, 100.0]], (n, 2, 1)),
    )
    return {"made_for": made_for, "version": proven.payload()}


def new_store(first: Detection, change: Detection | None, boundary: int) -> tuple[MemoryStore, Detection]:
    """Return a store whose partitions begin with one configuration, and at a boundary take up another and SAID.

    Before that, a candidate is adopted; behind it, another is refused and the model is rolled back.
    """
    store = MemoryStore(keep_rejects=10_000)
    for partition in PARTITIONS:
        opened = store.open(partition)
        opened.add_control(ControlRecord(0, ControlKind.CONFIGURATION, first.to_payload()))
        opened.add_control(ControlRecord(boundary, ControlKind.DECISION, version(first, 1, boundary)))
        if change is not None:
            opened.add_control(ControlRecord(boundary, ControlKind.CONFIGURATION, change.to_payload()))
        model_version = 3 if change is not None and form(change) != form(first) else 2
        refused = {"made_for": model_version, "result": "error"}
        rolled_back = version(change or first, model_version, boundary + 1)
        later = [
            ControlRecord(boundary + 9, ControlKind.DECISION, refused),
            ControlRecord(boundary + 20, ControlKind.ROLLBACK, rolled_back),
            *(
                ControlRecord(boundary + at, ControlKind.LEARNING, {"pattern": pattern, "mode": mode})
                for at, pattern, mode in SAID
            ),
            *(
                ControlRecord(boundary + at, ControlKind.FEEDBACK, feedback(change or first, *given))
                for at, *given in GIVEN
            ),
        ]
        for record in sorted(later, key=lambda record: record.boundary):
            opened.add_control(record)
        opened.close()
    return store, change or first


def undisturbed(
    log: MemoryLog, first: Detection, change: Detection | None, boundary: int
) -> tuple[MemoryStore, Scores]:
    store, current = new_store(first, change, boundary)
    scores: Scores = {}
    worker = Worker(log, store, current, scores)
    worker.source.give(*PARTITIONS)
    worker.run_until(lambda: worker.reached(ends(log)))
    worker.close()
    return store, scores


def ends(log: MemoryLog) -> dict[Partition, int]:
    return {partition: log.end(partition) for partition in PARTITIONS}


def fresh(log: MemoryLog) -> MemoryLog:
    """Return the same log without the offsets that somebody committed."""
    again = MemoryLog(log.topic_id)
    again.__dict__ |= log.__dict__ | {"committed": {}}
    return again


def assert_same(log: MemoryLog, left: tuple[MemoryStore, Scores], right: tuple[MemoryStore, Scores]) -> None:
    assert left[1] == right[1]
    assert outbox(left[0], PARTITIONS) == outbox(right[0], PARTITIONS)
    assert final_state(left[0], PARTITIONS) == final_state(right[0], PARTITIONS)
    assert kept_events(left[0], PARTITIONS) == kept_events(right[0], PARTITIONS)
    assert {p: o for p, (o, _) in log.committed.items()} == ends(log)


HARD = settings(
    max_examples=16,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # to shrink a log of seconds takes an hour, and its seed says it all
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@HARD
@example(seed=3, configurations=(TRANSFORMED, None), boundary=1, portion=7)
@given(
    seed=st.integers(0, 2**32),
    configurations=st.sampled_from(CHANGES),
    boundary=st.integers(1, 60),
    portion=st.integers(1, 40),
)
def test_pieces_and_kills_between_any_two_rows_change_nothing(
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    configurations: tuple[Detection, Detection | None],
    boundary: int,
    portion: int,
) -> None:
    (first, change), log, random = configurations, write_log(seed, 300), Random(seed)
    expected = undisturbed(log, first, change, boundary)
    monkeypatch.setattr(detector.owned, "PORTION", portion)
    store, current = new_store(first, change, boundary)
    again, scores, kills = fresh(log), Scores(), 0
    while True:
        worker = Worker(again, store, current, scores, random=random, interval=random.choice([0.0, 0.0, 3600.0]))
        worker.watcher.portions_left = random.randint(1, 200) if kills < 8 else -1
        worker.source.give(*PARTITIONS)
        while (alive := worker.turn()) and not worker.reached(ends(again)):
            pass
        if alive:
            worker.close()
            break
        kills += 1
    monkeypatch.undo()
    assert_same(again, expected, (store, scores))


@HARD
@example(seed=4, configurations=(FIRST, TRANSFORMED), boundary=20)
@given(seed=st.integers(0, 2**32), configurations=st.sampled_from(CHANGES), boundary=st.integers(1, 60))
def test_two_workers_that_exchange_partitions_detect_what_one_does(
    seed: int, configurations: tuple[Detection, Detection | None], boundary: int
) -> None:
    (first, change), log, random = configurations, write_log(seed, 300), Random(seed)
    expected = undisturbed(log, first, change, boundary)
    store, current = new_store(first, change, boundary)
    again, scores = fresh(log), Scores()
    workers = [Worker(again, store, current, scores, random=random, interval=0.0) for _ in range(2)]
    where = dict.fromkeys(PARTITIONS, 0)
    workers[0].source.give(*PARTITIONS)
    while not all(workers[where[p]].reached({p: end}) for p, end in ends(again).items()):
        for worker in workers:
            assert worker.turn()
        if random.random() < 0.2:
            moved = random.choice(PARTITIONS)
            giver, taker = workers[where[moved]], workers[1 - where[moved]]
            giver.source.take(moved)
            giver.turn()
            where[moved] = 1 - where[moved]
            taker.source.give(moved)
            taker.turn()
    for worker in workers:
        worker.close()
    assert_same(again, expected, (store, scores))


def test_the_test_log_goes_through_everything() -> None:
    """Or the properties above would hold for nothing."""
    log = write_log(1, 300)
    store, scores = undisturbed(log, FIRST, OTHER_FORM, 20)
    entries = outbox(store, PARTITIONS)
    assert sum(sink == "sink" for sink, _ in entries) > 10
    assert sum(sink == "dead_letters" for sink, _ in entries) > 5
    assert len(scores) > 1000


def test_incidents_end_in_every_way() -> None:
    log, reasons = write_log(1, 300), set()
    for first, change in ((FIRST, OTHER_FORM), (METRICS, FIRST), (FIRST, SAME_FORM)):
        store, _ = undisturbed(fresh(log), first, change, 60)
        reasons |= {
            json.loads(body)["reason"] for (sink, _), body in outbox(store, PARTITIONS).items() if sink == "sink"
        }
    assert reasons == {None, "severity", "repeat", "recovered", "no_data", "forgotten", "returned", "given_up"}


def test_rows_are_smoothed_related_gated_quarantined_and_promoted_on_the_way() -> None:
    log = write_log(1, 300)
    store, current = new_store(METRICS, None, 0)
    worker = Worker(log, store, current, {})
    worker.source.give(*PARTITIONS)
    worker.run_until(lambda: worker.reached(ends(log)))
    models = [owned.model for owned in worker.ownership.owned.values()]
    banks = [(model.bank, model.slots.resident_slots()) for model in models]
    worker.close()
    assert sum(model.changes["promotions"] for model in models) > 0
    assert any((bank.modes[slots] == QUARANTINE).any() for bank, slots in banks)
    assert any((bank.gates[slots] > 0).any() for bank, slots in banks)
    assert any((bank.quarantined[slots] >= 0).any() for bank, slots in banks)
    assert any(np.isfinite(bank.smoothed[slots]).any() for bank, slots in banks)
    assert any((bank.relations["sketch"][slots, 2] > 20.0).any() for bank, slots in banks)


def test_transforms_have_state_on_the_way_and_what_they_derive_is_in_alerts() -> None:
    log = write_log(1, 300)
    store, current = new_store(TRANSFORMED, None, 0)
    worker = Worker(log, store, current, {})
    worker.source.give(*PARTITIONS)
    worker.run_until(lambda: worker.reached(ends(log)))
    models = [owned.model for owned in worker.ownership.owned.values()]
    histories = [model.bank.history[model.slots.resident_slots()] for model in models]
    worker.close()
    assert all(np.isfinite(history).any(axis=0).all() for history in histories)
    alerts = [json.loads(body) for (sink, _), body in outbox(store, PARTITIONS).items() if sink == "sink"]
    assert len(alerts) > 10
    assert {"a (ema, difference, 2 back)", "c (rate, log1p)"} <= {f["name"] for f in alerts[0]["features"]}
    rows = [alert for alert in alerts if alert["score"] is not None]
    assert any(alert["imputed"] for alert in rows)
    assert any(0 < alert["confidence"] < 1 for alert in rows)


def test_feedback_spares_and_bars_rows_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or that a replay agrees would hold for nothing."""
    log, spared, barred = write_log(1, 300), [], []
    approve, bar = Known.approve, Known.barred

    def approving(self: Known, *given: Any) -> Any:
        nearer = approve(self, *given)
        spared.append(0 if nearer is None else int((nearer.by >= 0).sum()))
        return nearer

    def barring(self: Known, *given: Any) -> Any:
        barred.append(int((rows := bar(self, *given)).sum()))
        return rows

    monkeypatch.setattr(Known, "approve", approving)
    monkeypatch.setattr(Known, "barred", barring)
    told = undisturbed(log, FIRST, None, 10)
    assert sum(spared) > 10
    assert sum(barred) > 10
    monkeypatch.setattr("tests.property.test_log_decided.GIVEN", ())
    assert undisturbed(fresh(log), FIRST, None, 10)[1] != told[1]


@pytest.mark.parametrize(("first", "change"), CHANGES)
def test_a_candidate_is_adopted_and_the_model_rolled_back_on_the_way(
    first: Detection, change: Detection | None
) -> None:
    log = write_log(1, 300)
    store, current = new_store(first, change, 20)
    worker = Worker(log, store, current, {})
    worker.source.give(*PARTITIONS)
    worker.run_until(lambda: worker.reached(ends(log)))
    versions = {owned.model.model_version for owned in worker.ownership.owned.values()}
    worker.close()
    assert versions == {4 if change is not None and form(change) != form(first) else 3}


def test_another_seed_gives_another_result() -> None:
    """Or `assert_same` could not fail."""
    one, other = write_log(1, 100), write_log(2, 100)
    assert undisturbed(one, FIRST, None, 0)[1] != undisturbed(other, FIRST, None, 0)[1]
