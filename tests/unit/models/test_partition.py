"""The model of a partition: a function of its log and its control records, however the log arrives."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import cache, partial

import numpy as np
import pytest
from hypothesis import Phase as Hypothesis
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config.detection import Detection
from detector.config.sections import Absence, Alerting, Entities, Events, HalfLife
from detector.models.incidents import SUPPRESSED
from detector.models.partition import PartitionModel
from detector.models.progress import Anomaly, Transition
from detector.models.slots import WHOLE
from detector.models.upkeep import _EVERY as UPKEEP
from detector.types import ControlKind, ControlRecord, Phase, Position, Reason, Rows
from tests.support.models import DictStore, rows, small

ROWS = 900
STRICTER = Alerting(false_alarm_rate=3e-2, reference=1500, warm_up=100)
INCIDENTS = {"resolve_after": {"rows": 2, "time": 15.0}, "repeat_interval": 20.0, "no_data_after": 20.0}
hosts = partial(small, tick=4.0, entities=Entities(limit=9, evict_after=50.0, forget_after=150.0), incidents=INCIDENTS)
LENIENT = Alerting(false_alarm_rate=5e-2, critical_decades=0.6, reference=1000, warm_up=100)
KEYED = hosts(alerting=LENIENT)
LOOSE = LENIENT.model_copy(update={"false_alarm_rate": 1e-1})
smooth = partial(hosts, alerting=LOOSE, members=2, mass=0.8, promote_count=5, promote_after=20.0)
METRICS = smooth(
    smoothing=[1.0, 4.0], gate=1.0, absence=Absence(known_for=60.0, factor=1.0, at_least=15.0, give_up=30.0)
)
RELATED = smooth(smoothing=[1.0, 4.0], gate=1.0, relations=True)
PATIENT = hosts(
    alerting=LENIENT, incidents={"open_after": {"rows": 2, "of": 4}, "resolve_after": 10.0, "no_data_after": None}
)


def transformed(detection: Detection) -> Detection:
    """Let every kind of transform and of filling in act on the three features of a configuration."""
    features = [
        {"name": "f0", "transforms": [{"ema": 2}, {"lags": 1}], "missing": "previous"},
        {"name": "f1", "transforms": ["difference", "log1p"], "missing": "zero"},
        {"name": "f2", "transforms": ["rate"]},
    ]
    events = {"features": features, "entity": "host", "cycles": ["hour_of_day"]}
    return replace(detection, events=Events.model_validate(events))


TRANSFORMED = transformed(KEYED)


@cache
def log() -> Rows:
    """Twelve hosts: three fall silent and one returns, two change for good; late rows, gaps, outliers."""
    rng = np.random.default_rng(1)
    times = 1_700_000_000.0 + np.cumsum(rng.exponential(0.7, ROWS))
    times[400:] += 100.0
    late = rng.random(ROWS) < 0.1
    times[late] -= rng.uniform(0, 30, int(late.sum()))
    names = rng.integers(0, 8, ROWS)
    names[:60] = rng.integers(8, 11, 60)
    names[600:620] = 9
    names[rng.random(ROWS) < 0.02] = 11
    values = rng.normal(0, 1, (ROWS, 3)) * [1.0, 100.0, 1e-3] + rng.choice([0, 5, 9], (ROWS, 1)) * [1.0, 100.0, 1e-3]
    values[rng.random(ROWS) < 0.05] *= 30.0
    values[rng.random((ROWS, 3)) < 0.15] = np.nan
    values[np.isnan(values).all(1), 0] = 0.0
    values[650:][names[650:] < 2] = [60.0, 6000.0, 0.06]
    entities = [f"host-{h}" for h in names.tolist()]
    return replace(rows(values, times, entities), labels=lambda offset, row: {"at": f"{offset}/{row}"})


def configuration(boundary: int, detection: Detection) -> ControlRecord:
    return ControlRecord(boundary, ControlKind.CONFIGURATION, detection.to_payload())


CONTROLS = (
    configuration(31, hosts(alerting=STRICTER)),
    configuration(50, hosts(alerting=STRICTER)),
    configuration(77, hosts(rows=32)),
    configuration(100, hosts(centroids=3, seed_rows=16)),
)


def learning(boundary: int, pattern: str, mode: str) -> ControlRecord:
    return ControlRecord(boundary, ControlKind.LEARNING, {"pattern": pattern, "mode": mode})


SAID = (
    learning(20, "host-1", "freeze"),
    learning(41, "*", "quarantine"),
    configuration(41, hosts(alerting=STRICTER)),
    learning(60, "host-[2-5]", "learn"),
    learning(61, "host-0", "freeze"),
    learning(61, "host-2", "default"),
    learning(95, "host-1", "freeze"),
    learning(130, "*", "default"),
)


CASES = {
    "plain": (KEYED, ()),
    "controlled": (KEYED, CONTROLS),
    "metrics": (METRICS, ()),
    "related": (RELATED, tuple(c for c in SAID if c.kind is ControlKind.LEARNING)),
    "related from then on": (METRICS, (configuration(20, smooth(gate=1.0, relations=True)),)),
    "patient": (PATIENT, ()),
    "told what to learn": (KEYED, SAID),
    "metrics told what to learn": (METRICS, tuple(c for c in SAID if c.kind is ControlKind.LEARNING)),
    "transformed": (TRANSFORMED, (configuration(90, transformed(hosts(alerting=STRICTER))),)),
    "transformed anew": (METRICS, (configuration(20, transformed(METRICS)),)),
    "controlled metrics": (
        METRICS,
        (configuration(40, smooth(smoothing=[9.0, 90.0], gate=1.5)), configuration(130, hosts(smoothing=[4.0]))),
    ),
}


@dataclass
class Told:
    """All that a model says of a log, and what it is at the end."""

    distance: list[bytes] = field(default_factory=list)
    smoothed: list[bytes] = field(default_factory=list)
    score: list[bytes] = field(default_factory=list)
    transitions: list[tuple[object, ...]] = field(default_factory=list)
    suppressed: Counter[str] = field(default_factory=Counter)
    flagged: list[int] = field(default_factory=list)
    unscored: Counter[str] = field(default_factory=Counter)
    late: int = 0
    header: bytes = b""
    slots: dict[str, tuple[float, bytes]] = field(default_factory=dict)
    model: PartitionModel | None = field(default=None, compare=False)


def plain(transition: Transition, at: int) -> tuple[object, ...]:
    """Return all of a transition as values that can be compared; `at` rows were given before."""
    values = {name: getattr(transition, name) for name in Transition.__slots__}
    values["shares"] = transition.shares.tobytes()
    values["labels"] = tuple(transition.labels.items())
    values["region"] = None if transition.region is None else tuple(each.tobytes() for each in transition.region)
    if (anomaly := transition.anomaly) is not None:
        told = {name: getattr(anomaly, name) for name in Anomaly.__slots__}
        told |= {"row": at + anomaly.row, "expected": anomaly.expected.tobytes(), "parts": anomaly.parts.tobytes()}
        told["observed"] = anomaly.observed.tobytes()
        values["anomaly"] = tuple(told.values())
    return tuple(values.values())


def follow(case: str, size: Callable[[], int], between: Callable[[PartitionModel, DictStore], PartitionModel]) -> Told:
    """Feed the log in pieces, with something done after each; upkeep and gates come early enough to act."""
    store, told, given, at = DictStore(), Told(), log(), 0
    first, controls = CASES[case]
    idle = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("detector.models.upkeep._EVERY", 8)
        patch.setattr("detector.models.judging._GATE_ROWS", 20.0)
        patch.setattr("detector.models.judging._GATED", 0.2)
        patch.setattr("detector.models.relations._FIRST", 16)
        patch.setattr("detector.models.relations._FIRST_A_FEATURE", 2)
        patch.setattr("detector.models.relations._ENOUGH", 10.0)
        model = store.model(first)
        model.control(controls)
        while at < ROWS:
            progress = model.advance(given[at : at + size()])
            told.distance.append(progress.distance.tobytes())
            told.smoothed.append(progress.smoothed.tobytes())
            told.score.append(progress.score.tobytes())
            told.flagged += [at + row for row in progress.flagged.tolist()]
            told.transitions += [plain(transition, at) for transition in progress.transitions]
            told.suppressed += progress.suppressed
            told.unscored += progress.unscored
            told.late += progress.late
            at += progress.taken
            idle = 0 if progress.taken else idle + 1
            assert idle < 3, "the model takes no rows"
            model = between(model, store)
    told.header, told.slots, told.model = store.checkpoint(model), store.slots, model
    for name in ("distance", "smoothed", "score"):
        setattr(told, name, [b"".join(getattr(told, name))])
    return told


@cache
def undisturbed(case: str) -> Told:
    return follow(case, lambda: ROWS, lambda model, _: model)


@pytest.mark.parametrize("case", CASES)
@settings(
    max_examples=8, deadline=None, phases=[Hypothesis.explicit, Hypothesis.reuse, Hypothesis.generate]
)  # shrinking takes minutes
@given(data=st.data())
def test_pieces_restarts_evictions_and_checkpoints_change_no_bit(data: st.DataObject, case: str) -> None:
    first, controls = CASES[case]
    draw = data.draw

    def between(model: PartitionModel, store: DictStore) -> PartitionModel:
        match draw(st.sampled_from(["nothing", "nothing", "checkpoint", "restart", "evict", "crowd out"])):
            case "checkpoint":
                store.checkpoint(model)
            case "restart":
                header = store.checkpoint(model)
                model = store.model(first, header)
                model.control(controls[model.applied :])
            case "evict":
                model.evict(model.time - 20.0)
            case "crowd out":
                store.checkpoint(model)
                model.evict(model.time + 1.0)
        return model

    assert follow(case, lambda: draw(st.sampled_from([1, 3, 16, 40, 200, ROWS])), between) == undisturbed(case)


@pytest.mark.parametrize("case", CASES)
def test_the_log_shows_what_it_is_meant_to(case: str) -> None:
    told = undisturbed(case)
    assert told.late > 20
    assert len(told.flagged) > sum(told.suppressed.values()) or CASES[case][1]
    assert told.unscored["entity_limit"] > 0
    assert told.unscored["few_features"] > 0
    assert told.unscored["no_model"] > 0
    assert not {"host-8", "host-10"} & set(told.slots), "they were forgotten"
    assert len({tuple(undisturbed(other).transitions) for other in CASES}) == len(CASES)


def test_each_incident_has_the_labels_of_the_row_that_opened_it() -> None:
    model = DictStore().model(KEYED)
    told = [each for each in model.advance(log()).transitions if each.kind == "anomaly"]
    assert {each.reason for each in told} >= {None, Reason.RECOVERED}
    assert [each.labels for each in told] == [{"at": f"{each.first.offset}/{each.first.row}"} for each in told]


def test_incidents_open_are_updated_and_end_in_every_way_in_these_logs() -> None:
    happened = {(phase, reason) for case in CASES for _, phase, reason, *_ in undisturbed(case).transitions}
    assert happened == {
        (Phase.OPEN, None),
        (Phase.UPDATE, Reason.SEVERITY),
        (Phase.UPDATE, Reason.REPEAT),
        (Phase.RESOLVE, Reason.RECOVERED),
        (Phase.RESOLVE, Reason.NO_DATA),
        (Phase.RESOLVE, Reason.FORGOTTEN),
        (Phase.RESOLVE, Reason.RETURNED),
        (Phase.RESOLVE, Reason.GIVEN_UP),
    }
    suppressed = sum((undisturbed(case).suppressed for case in CASES), Counter[str]())
    assert set(suppressed) == set(SUPPRESSED)


def test_the_log_fills_quarantines_and_one_is_promoted() -> None:
    model = undisturbed("metrics").model
    assert model is not None
    bank, resident = model.bank, model.slots.resident_slots()
    assert (bank.gates[resident] > 0).any()
    assert (bank.quarantined[resident] >= 0).any()
    assert model.quarantine.rows > 0
    assert np.isfinite(bank.smoothed[resident]).all(1).any()
    assert model.changes["promotions"] > 0


def test_the_log_is_judged_by_relations_too() -> None:
    model = undisturbed("related").model
    assert model is not None
    states = model.bank.relations[model.slots.resident_slots()]
    assert (states["scale"] > 0).all(1).any()
    assert (states["sketch"][:, 2] > 10).any()
    assert (states["unusual"] > 0).any()
    assert undisturbed("related").smoothed != undisturbed("metrics").smoothed


def learned(detection: Detection, n: int = 400, seed: int = 2) -> tuple[PartitionModel, DictStore]:
    """Return a model without entities after n plain rows, one a second, and its store."""
    store = DictStore()
    model = store.model(detection)
    model.advance(rows(np.random.default_rng(seed).normal(5.0, 1.0, (n, 3))))
    return model, store


WHOLE_PARTITION = small(keyed=False)


def test_rows_are_scored_at_once_and_learned_when_their_block_is_complete() -> None:
    model, _ = learned(WHOLE_PARTITION, n=160)
    before = model.bank.centroids.tobytes()
    progress = model.advance(rows(np.full((3, 3), 5.0), times=np.full(3, 159.0)))
    assert np.isfinite(progress.distance).all()
    assert model.bank.centroids.tobytes() == before
    model.advance(rows(np.full((1, 3), 5.0), times=np.array([200.0])))
    assert model.bank.centroids.tobytes() != before


def test_a_call_leaves_nothing_to_the_cycle_collector() -> None:
    model, _ = learned(WHOLE_PARTITION, n=160)
    gc.collect()
    gc.disable()
    try:
        for at in range(20):
            model.advance(rows(np.full((3, 3), 5.0), times=np.full(3, 160.0 + at)))
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_late_row_joins_the_open_block_and_is_counted() -> None:
    model, _ = learned(WHOLE_PARTITION, n=5)
    number, held = model.open.number, len(model.open)
    progress = model.advance(rows(np.zeros((2, 3)), times=np.array([-100.0, 4.0])))
    assert progress.late == 1
    assert (model.open.number, len(model.open), model.time) == (number, held + 2, 4.0)


def test_rows_with_few_features_and_too_many_entities_are_counted_and_not_scored() -> None:
    model = DictStore().model(small(entities=Entities(limit=2)))
    values = np.ones((4, 3))
    values[1, :2] = np.nan
    progress = model.advance(rows(values, entities=["a", "b", "c", "c"]))
    assert progress.unscored == {"few_features": 1, "entity_limit": 2, "no_model": 1}
    assert np.isnan(progress.score).all()


def test_a_fault_is_one_incident_that_resolves_when_the_rows_are_normal_again() -> None:
    model, _ = learned(WHOLE_PARTITION)
    values, times = np.full((6, 3), 5.0), np.array([400.0, 401.0, 404.9, 406.0, 410.9, 411.0])
    values[:4, 1] = 500.0
    progress = model.advance(rows(values, times, start=400))
    assert progress.flagged.tolist() == [0, 1, 2, 3]
    opened, resolved = progress.transitions
    first = opened.anomaly
    assert first is not None
    assert (first.row, opened.phase, opened.first) == (0, Phase.OPEN, Position(400, 0))
    assert first.parts.argmax() == 1
    assert first.expected == pytest.approx([5.0] * 3, abs=2.0)
    assert first.score >= first.threshold == pytest.approx(2.0)
    assert (resolved.phase, resolved.reason, resolved.position) == (Phase.RESOLVE, Reason.RECOVERED, Position(405, 0))
    assert (resolved.count, resolved.start, resolved.duration) == (4, 400.0, 11.0)
    assert resolved.first == opened.first
    assert (opened.sequence, resolved.sequence) == (1, len(progress.transitions))
    assert resolved.shares.argmax() == 1
    assert resolved.shares.sum() == pytest.approx(1.0)
    assert progress.top is not None
    assert progress.top.score == progress.score.max()


def test_nothing_is_an_anomaly_while_the_slot_or_the_reference_warms_up() -> None:
    patient = small(keyed=False, warm_up=10_000)
    model, _ = learned(patient)
    assert model.counted().warming_up == 1
    assert not model.advance(rows(np.full((1, 3), 1e6), times=np.array([400.0]))).flagged.size
    model, _ = learned(WHOLE_PARTITION, n=90)
    assert not model.advance(rows(np.full((1, 3), 1e6), times=np.array([90.0]))).flagged.size


def test_what_is_far_out_does_not_enter_the_reference() -> None:
    model, _ = learned(WHOLE_PARTITION)
    total = model.reference.counts[-900:].sum()
    model.advance(rows(np.full((64, 3), 1e9), times=np.full(64, 400.0)))
    assert model.reference.counts[-900:].sum() == pytest.approx(total, rel=0.2, abs=1.0)


def test_rows_of_features_that_are_still_unknown_are_counted_and_do_not_enter_the_reference() -> None:
    values = np.random.default_rng(9).normal(5.0, 1.0, (420, 3))
    values[:400, 2] = np.nan
    values[400:, 1] = np.nan
    model = DictStore().model(WHOLE_PARTITION)
    model.advance(rows(values[:400]))
    assert model.advance(rows(values[400:401], [400.0])).unscored == {"no_model": 1}
    before, sketches = model.reference.counts.tobytes(), model.bank.sketches[0].tobytes()
    progress = model.advance(rows(values[401:], np.arange(401.0, 420.0)))
    assert progress.unscored == {"no_model": 9}, "once their block is learned the feature is known"
    assert model.reference.counts.tobytes() == before
    assert model.bank.sketches[0].tobytes() == sketches


def test_a_configuration_of_the_same_form_keeps_the_state() -> None:
    model, _ = learned(WHOLE_PARTITION, n=160)
    model.control([configuration(16, small(keyed=False, alerting=STRICTER))])
    model.advance(rows(np.ones((1, 3)), times=np.array([160.0])))
    assert model.advance(rows(np.ones((1, 3)), times=np.array([160.0]))).taken == 1
    assert model.detection.alerting == STRICTER
    assert (model.model_version, model.applied) == (1, 1)
    assert model.bank.rows_learned[0] == 160


def test_another_form_begins_cold_and_forgets_the_old_entities() -> None:
    store = DictStore()
    model = store.model(KEYED)
    model.advance(rows(np.random.default_rng(3).normal(size=(160, 3)), entities=["a", "b"] * 80))
    store.checkpoint(model)
    model.control([configuration(model.open.number + 1, small(centroids=3, seed_rows=16))])
    values, entities = np.ones((30, 3)), ["c"] * 30
    times = 170.0 + np.arange(30)
    taken = model.advance(rows(values, times, entities)).taken
    assert 0 < taken < 30 or model.detection.model.centroids == 3
    model.advance(rows(values[taken:], times[taken:], entities[taken:]))
    assert (model.model_version, model.applied, model.shape.centroids) == (2, 1, 3)
    assert {"a", "b"} <= set(model.copying.forgotten)
    store.checkpoint(model)
    assert set(store.slots) == {"c"}


def test_calls_take_only_so_many_slots_and_larger_blocks_fit_a_bank_that_knew_smaller_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("detector.models.shape._CALL_SLOTS", 20)
    model = DictStore().model(small(features=5, centroids=2, rows=16))
    entities = [f"e{i}" for i in range(40)]
    model.advance(rows(np.random.default_rng(4).normal(size=(40, 5)), np.zeros(40), entities))
    model.control([configuration(3, small(features=5, centroids=2, rows=48))])
    more = rows(np.random.default_rng(5).normal(size=(96, 5)), np.zeros(96), [f"e{i}" for i in range(96)])
    at = 0
    while at < 96:
        at += model.advance(more[at:96]).taken
    assert model.shape.rows == 48
    assert len(model.slots) == 96


def test_a_forgotten_entity_returns_as_a_new_one_and_an_evicted_one_as_it_was() -> None:
    detection = small(entities=Entities(evict_after=10.0, forget_after=1000.0))
    store = DictStore()
    model = store.model(detection)
    rng = np.random.default_rng(6)
    model.advance(rows(rng.normal(size=(320, 3)), entities=["a"] * 320))
    model.advance(rows(rng.normal(size=(16, 3)), np.full(16, 400.0), ["b"] * 16))
    assert model.evict(390.0) == 0, "what the store has not yet stays"
    store.checkpoint(model)
    was = store.slots["a"][1]
    assert model.evict(390.0) == 1
    assert "a" in model.slots.evicted
    model.slots.find(["a"])
    assert model.bank.pack(np.array([model.slots.resident["a"]]))[0] == was
    model.advance(rows(rng.normal(size=(600, 3)), 400.0 + 3.0 * np.arange(600), ["b"] * 600))
    assert "a" not in model.slots
    store.checkpoint(model)
    assert set(store.slots) == {"b"}
    assert np.isnan(model.advance(rows(np.ones((1, 3)), np.array([2300.0]), ["a"])).score[0])


def test_dead_centroids_are_split_at_upkeep() -> None:
    model = DictStore().model(small(keyed=False, tick=1e9))
    rng = np.random.default_rng(7)
    last = 16 * UPKEEP - 1
    model.advance(rows(rng.normal(8.0, 1.0, (last, 3))))
    reseeds = model.changes["reseeds"]
    model.bank.masses[0, 1] = 0.0
    model.advance(rows(rng.normal(8.0, 1.0, (1, 3)), [last]))
    assert model.changes["reseeds"] == reseeds, "it is due from here on"
    model.advance(rows(rng.normal(8.0, 1.0, (1, 3)), [last + 1]))
    assert model.changes["reseeds"] == reseeds + 1
    assert model.counted().centroids == 4


@pytest.mark.parametrize("distinct", [1, 2, 3])
def test_fewer_distinct_rows_than_centroids_leave_some_without_mass(distinct: int) -> None:
    model = DictStore().model(small(keyed=False, tick=1e9))
    model.advance(rows(np.repeat(np.arange(distinct, dtype=np.float64), 3).reshape(-1, 3)[np.arange(640) % distinct]))
    assert model.counted().centroids == distinct
    assert model.changes["reseeds"] == 0
    assert np.isfinite(model.bank.centroids[0]).all()


def test_the_last_rows_of_data_that_end_can_be_learned() -> None:
    model = DictStore().model(WHOLE_PARTITION)
    model.advance(rows(np.random.default_rng(8).normal(size=(9, 3)), np.zeros(9)))
    model.finish()
    assert len(model.open) == 0
    assert model.bank.rows_learned[0] == 9
    assert model.counted().centroids > 1
    assert model.slots.names[0] == WHOLE


def test_a_new_normal_far_out_is_gated_until_it_has_lasted_and_then_near_at_once_and_for_good() -> None:
    rng = np.random.default_rng(10)
    upkeep = 16 * UPKEEP
    half_life, alerting = HalfLife(events=None), Alerting(false_alarm_rate=1e-2, reference=100_000, warm_up=100)
    gated = partial(small, keyed=False, tick=1e9, members=2, gate=1.5, promote_count=50)
    after = int(0.9 * upkeep)
    model = DictStore().model(gated(promote_after=float(after), half_life=half_life, alerting=alerting))
    model.advance(rows(rng.normal(5.0, 0.5, (4 * upkeep, 3))))
    gate, weight = float(model.bank.gates[0]), float(model.bank.weights[0, 0])
    assert gate > 0
    new = rng.normal(20.0, 0.5, (upkeep + 600, 3))
    distance = model.advance(rows(new, 4.0 * upkeep + np.arange(len(new)))).distance
    assert (distance[:after] > gate).all()
    assert (distance[int(1.1 * after) :] < 0.5 * gate).all()
    learned = upkeep + 592  # whole blocks
    assert model.bank.weights[0, 0] == pytest.approx(weight + learned), "all of them were learned in the end"
    mean = (5.0 * weight + 20.0 * learned) / (weight + learned)
    assert model.bank.means[0] == pytest.approx([mean] * 3, rel=0.01)


def test_a_row_of_which_half_was_observed_or_filled_in_is_scored() -> None:
    nan, values = np.nan, np.random.default_rng(3).normal(5.0, 1.0, (300, 4))
    for missing, unscored in {"ignore": 1, "previous": 0, "zero": 0}.items():
        events = Events.model_validate({"features": ["f0", "f1", "f2", "f3"], "missing": missing})
        model = DictStore().model(replace(small(features=4, keyed=False), events=events))
        model.advance(rows(values))
        progress = model.advance(rows([[5.0, nan, nan, nan], [5.0, 5.0, nan, nan]], times=[300.0, 300.0]))
        assert progress.unscored["few_features"] == unscored


def test_lags_and_cycles_do_not_make_up_for_features_that_are_missing() -> None:
    nan, values = np.nan, np.random.default_rng(3).normal(5.0, 1.0, (300, 3))
    declared = {"features": ["f0", "f1", "f2"], "transforms": [{"lags": 4}], "cycles": ["hour_of_day", "day_of_week"]}
    model = DictStore().model(replace(small(keyed=False), events=Events.model_validate(declared)))
    unscored = model.advance(rows(values)).unscored["few_features"]
    assert unscored == 1, "its lags are unknown, which are most of the features"
    assert model.advance(rows([[5.0, nan, nan]], times=[300.0])).unscored == {"few_features": 1}


def test_a_counter_is_an_anomaly_when_its_rate_is_though_the_counter_never_was_there_before() -> None:
    events = Events.model_validate({"features": [{"name": "requests", "transforms": ["rate"]}]})
    model = DictStore().model(replace(small(features=1, keyed=False), events=events))
    counter = 2.0**40 + np.cumsum(np.random.default_rng(4).integers(90, 110, 400))
    model.advance(rows(counter[:, None]))
    after = counter[-1] + np.array([100.0, 10_100.0, 10_200.0])
    progress = model.advance(rows(after[:, None], times=[400.0, 401.0, 402.0]))
    assert progress.flagged.tolist() == [1]
    (anomaly,) = [transition.anomaly for transition in progress.transitions]
    assert anomaly is not None
    assert anomaly.observed.tolist() == [10_000.0]
    assert anomaly.expected == pytest.approx([100.0], abs=10.0)


def test_what_a_transform_takes_beyond_a_float32_is_counted_and_missing() -> None:
    events = Events.model_validate({"features": ["f0", {"name": "f1", "transforms": ["difference"]}]})
    model = DictStore().model(replace(small(features=2, keyed=False), events=events))
    progress = model.advance(rows([[1.0, 3e38], [1.0, -3e38], [1.0, 0.0], [1.0, 1.0]]))
    assert progress.overflowed == 1
    assert np.isnan(model.open.rows[:, 1]).tolist() == [True, True, False, False]


def test_an_incident_that_other_transforms_end_is_told_without_shares_of_what_is_no_more() -> None:
    model, _ = learned(WHOLE_PARTITION)
    (opened,) = model.advance(rows(np.full((1, 3), 500.0), times=[400.0])).transitions
    assert opened.shares.sum() == pytest.approx(1.0)
    differences = Events.model_validate({"features": ["f0", "f1", "f2"], "transforms": ["difference"]})
    model.control([configuration(model.open.number + 1, replace(WHOLE_PARTITION, events=differences))])
    later = rows(np.full((2, 3), 5.0), times=[420.0, 421.0])
    taken = model.advance(later).taken
    (ended,) = model.advance(later[taken:]).transitions
    assert (ended.phase, ended.reason) == (Phase.RESOLVE, Reason.FORGOTTEN)
    assert ended.shares.tolist() == [0.0] * 3


@pytest.mark.parametrize("cuts", [[40], [56], [57], range(1, 58)])
def test_whom_upkeep_forgets_no_row_behind_it_finds_however_the_log_is_cut(cuts: Iterable[int]) -> None:
    """Upkeep falls due by time in the middle of a call, and the rows behind it are of an entity that it forgets."""
    lagging = Events.model_validate({"features": [{"name": "f0", "transforms": [{"lags": 1}]}], "entity": "host"})
    entities = Entities(limit=9, evict_after=100.0, forget_after=150.0)
    detection = replace(small(features=1, tick=4.0, entities=entities, promote_after=1200.0), events=lagging)
    times = [*np.arange(40.0), *[1000.0] * 16, 1004.0, 1005.0]
    values = np.random.default_rng(0).normal(size=(58, 1))
    names = [*["a", "b"] * 20, *["a"] * 16, "b", "b"]

    def told(cuts: Iterable[int]) -> bytes:
        model, at = DictStore().model(detection), 0
        for end in [*cuts, 58]:
            while at < end:
                at += model.advance(rows(values[at:end], times[at:end], names[at:end], at)).taken
        history: bytes = model.bank.history[model.slots.resident["b"]].tobytes()
        return history + model.open.rows.tobytes()

    assert told(cuts) == told([])


def test_a_shorter_silence_counts_at_once_for_those_that_are_silent() -> None:
    def silent(seconds: float) -> Detection:
        incidents = {"resolve_after": 1000.0, "no_data_after": seconds}
        alerting = Alerting(false_alarm_rate=5e-2, reference=1000, warm_up=100)
        return small(features=2, tick=4.0, alerting=alerting, incidents=incidents)

    model, rng = DictStore().model(silent(3600.0)), np.random.default_rng(0)
    values = rng.normal(size=(400, 2))
    values[-1] = 40.0
    opened = model.advance(rows(values, np.arange(400.0), ["a", "b"] * 200)).transitions
    assert ("b", Phase.OPEN) in [(t.entity, t.phase) for t in opened]
    model.control([configuration(model.open.number + 1, silent(60.0))])
    later, at = rows(rng.normal(size=(80, 2)), 400.0 + np.arange(80.0), ["a"] * 80, 400), 0
    told: list[Transition] = []
    while at < len(later):
        progress = model.advance(later[at:])
        told, at = [*told, *progress.transitions], at + progress.taken
    assert [(t.entity, t.reason) for t in told if t.entity == "b"] == [("b", Reason.NO_DATA)]
