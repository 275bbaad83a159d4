from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from detector.errors import CommandError
from detector.models.versions import Version
from detector.refit.limits import Limits
from detector.refit.values import Parameters
from detector.types import ControlKind, ControlRecord, Rows
from tests.support.models import rows
from tests.support.refitted import PLAN, Refitted, stream

KEYED = pytest.mark.parametrize("keyed", [False, True], ids=["partition", "entities"])


@contextmanager
def running(refitted: Refitted) -> Iterator[Refitted]:
    try:
        yield refitted
    finally:
        refitted.close()


def kinds(refitted: Refitted) -> list[ControlKind]:
    return [record.kind for record in refitted.owned.store.controls()]


@KEYED
def test_a_refit_on_demand_ends_in_a_decision_that_stands_in_the_log(*, keyed: bool) -> None:
    with running(Refitted(keyed=keyed)) as one:
        one.feed(6000)
        one.refit()
        assert kinds(one) == [ControlKind.CONFIGURATION, ControlKind.CANDIDATE, ControlKind.DECISION]
        candidate, decision = (record.payload for record in one.owned.store.controls()[1:])
        assert set(candidate["clusters"].values()) == {3}
        assert candidate["algorithm"] == "kmeans"
        assert decision["candidate"] == 1
        assert decision["rows"] > 100
        assert one.results["proposed"] == 1
        assert sum(one.results.values()) == 2
        assert 0.9 < next(iter(one.agreement.values())) <= 1.0
        (measured,) = one.measured.values()
        assert (measured.reason, measured.rows) == (decision["result"], decision["rows"])
        one.feed(128)
        assert one.model.model_version == (2 if decision["result"] == "adopted" else 1)


def test_a_better_candidate_is_adopted_at_its_boundary_and_can_be_rolled_back() -> None:
    with running(Refitted()) as one:
        one.feed(6000)
        one.model.bank.centroids[0] += 0.8  # a model that is not what it should be
        one.refit()
        record = one.owned.store.controls()[-1]
        assert (record.payload["result"], one.results["adopted"]) == ("adopted", 1)
        assert record.payload["error"] < record.payload["error_before"]
        one.feed(128)
        assert (one.model.model_version, one.model.born) == (2, one.model.born)
        adopted = Version.from_payload(record.payload["version"])
        replaced = Version.from_payload(record.payload["replaced"])
        one.refitting.roll_back(one.owned, 1, replaced)
        one.feed(128)
        assert one.model.model_version == 3
        back = np.abs(one.model.bank.centroids[0] - replaced.centroids[0]).max()
        assert back < np.abs(one.model.bank.centroids[0] - adopted.centroids[0]).max()


@KEYED
def test_a_replay_with_the_records_gives_the_same_bits(*, keyed: bool) -> None:
    with running(Refitted(keyed=keyed)) as one:
        one.feed(6016)
        saved = one.save()
        one.refit()
        replaced = Version.of(one.model.bank, np.array([0]), [one.model.slots.names[0] or ""])
        one.refitting.roll_back(one.owned, 1, replaced)
        pieces = [one.feed(64) for _ in range(4)]
        end, version = one.model.header(), one.model.model_version
    with running(Refitted(keyed=keyed, store=one.stores, saved=saved)) as again:
        while again.at < one.at - 4 * 64:
            again.feed(64)
            again.refitting.turn()
        assert [again.feed(64) for _ in range(4)] == pieces
        assert (again.model.header(), again.model.model_version) == (end, version)
        assert not again.results["proposed"]  # what the log decided is not decided again


def test_a_candidate_without_a_decision_begins_its_shadow_anew_after_a_restart() -> None:
    with running(Refitted()) as one:
        one.feed(6000)
        one.refitting.request(one.owned)
        one.until(lambda: one.state() == "shadow")
        one.feed(64)
        saved = one.save()
    with running(Refitted(store=one.stores, saved=saved)) as again:
        again.refitting.turn()
        assert again.state() == "shadow"
        again.feed_until(lambda: again.state() == "idle")
        assert kinds(again)[-1] is ControlKind.DECISION


def test_a_model_that_begins_cold_gives_its_candidate_up() -> None:
    with running(Refitted()) as one:
        one.feed(6000)
        one.refitting.request(one.owned)
        one.until(lambda: one.state() == "shadow")
        other = one.model.detection.model.model_copy(update={"centroids": 5})
        detection = replace(one.model.detection, model=other)
        one.owned.control(ControlKind.CONFIGURATION, detection.to_payload())
        one.model.advance(rows_to_boundary(one))
        one.until(lambda: one.state() == "idle")
        assert one.owned.store.controls()[-1].payload["result"] == "superseded"
        assert one.results["refused_superseded"] == 1


def rows_to_boundary(one: Refitted) -> Rows:
    return rows(stream(one.at, 200), start=one.at)


@pytest.mark.parametrize(
    ("limits", "result"), [(Limits(time=0.0), "overrun"), (Limits(memory=64 << 20), "failed or overrun")]
)
def test_a_process_that_fails_is_counted_and_changes_nothing(limits: Limits, result: str) -> None:
    with running(Refitted(replace(PLAN, limits=limits))) as one:
        one.feed(6000)
        one.refitting.request(one.owned)
        one.until(lambda: one.state() == "idle")
        assert list(one.results) == [next(iter(one.results))]
        assert next(iter(one.results)) in result
        assert kinds(one) == [ControlKind.CONFIGURATION]
        one.feed(64)


def test_a_periodic_refit_begins_by_itself() -> None:
    with running(Refitted(replace(PLAN, interval=0.1))) as one:
        one.feed(6000)
        one.until(lambda: one.state() == "shadow")


def test_a_refit_that_cannot_be_says_why() -> None:
    with running(Refitted()) as one:
        one.feed(200)
        with pytest.raises(CommandError, match="no entity has 200 rows in the window yet"):
            one.refitting.request(one.owned)


def test_noise_that_was_not_flagged_is_found_in_hindsight_and_pages_nobody() -> None:
    with running(Refitted(replace(PLAN, parameters=Parameters("dbscan")))) as one:
        one.feed(6000)
        window = one.model.beside.window
        assert window is not None
        reservoir = window._normal
        reservoir._rows[:3] = (
            np.array([60.0, -60.0, 60.0, 60.0]) + np.arange(3)[:, None]
        )  # as if it had not been flagged
        one.refitting.request(one.owned)
        one.until(lambda: one.state() == "shadow")
        findings = one.owned.store.controls()[-1].payload["findings"]
        assert 0 < len(findings) <= 20
        assert one.overlooked == one.owned.store.controls()[-1].payload["overlooked"] >= len(findings)
        assert findings[0]["severity"] == "info"
        assert findings[0]["values"]["f0"] > 50
        assert findings[0]["score"] >= 2.0
        assert not one.owned.store.due("sink", float("inf"), 10)


def test_a_partition_that_leaves_takes_its_refit_along() -> None:
    with running(Refitted()) as one:
        one.feed(6000)
        one.refitting.request(one.owned)
        one.refitting.turn()
        assert one.state() == "running"
        one.partitions.clear()
        one.refitting.turn()
        assert one.refitting._job is None


def test_a_record_made_for_an_earlier_version_has_no_effect() -> None:
    with running(Refitted()) as one:
        one.feed(6000)
        version = Version.of(one.model.bank, np.array([0]), [""]).payload()
        boundary = one.model.open.number + 1
        stale = ControlRecord(boundary, ControlKind.ROLLBACK, {"made_for": 7, "version": version})
        one.model.control([stale])
        one.feed(128)
        assert (one.model.model_version, one.model.applied) == (1, 2)
