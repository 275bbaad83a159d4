from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from detector.errors import StoreDamagedError
from detector.models.controls import adopt
from detector.models.partition import PartitionModel
from detector.models.versions import Version, version_for
from detector.types import ControlKind, ControlRecord
from tests.support.models import DictStore, rows, small

ARRAYS = [name for name in Version.__slots__ if name != "entities"]


def of_model(*, keyed: bool = True, **settings: Any) -> tuple[DictStore, PartitionModel, Version]:
    store = DictStore()
    made = store.model(small(keyed=keyed, **settings))
    rng = np.random.default_rng(0)
    entities = [f"host-{i % 3}" for i in range(600)] if keyed else None
    made.advance(rows(rng.normal(size=(600, 3)), entities=entities))
    names = list(made.slots.resident)
    return store, made, Version.of(made.bank, np.array([made.slots.resident[n] for n in names]), names)


def test_a_version_travels_as_json_without_losing_a_bit() -> None:
    _, _, version = of_model()
    again = Version.from_payload(json.loads(json.dumps(version.payload())))
    assert again.entities == version.entities
    for name in ARRAYS:
        assert getattr(again, name).tobytes() == getattr(version, name).tobytes()


def test_a_damaged_payload_is_told() -> None:
    _, _, version = of_model()
    for name, value in (("centroids", "AAAA"), ("masses", "no base64!"), ("sizes", [1, 2])):
        with pytest.raises(StoreDamagedError, match="cannot be read"):
            Version.from_payload({**version.payload(), name: value})


@pytest.mark.parametrize("keyed", [True, False])
@pytest.mark.parametrize("gate", [None, 1.5])
def test_a_decision_puts_its_version_in_force_at_its_boundary(*, keyed: bool, gate: float | None) -> None:
    store, model, version = of_model(keyed=keyed, gate=gate, members=2)
    moved = Version.from_payload(version.payload())
    moved.centroids[:] += 7.0
    boundary = model.open.number + 3
    payload = {"made_for": 1, "version": moved.payload()}
    model.control([ControlRecord(boundary, ControlKind.DECISION, payload)])
    rng, entities = np.random.default_rng(1), [f"host-{i % 3}" for i in range(16)]
    while model.open.number < boundary:
        assert model.model_version == 1
        at = np.full(16, model.time + 11.0)  # a tick each: a block each
        model.advance(rows(rng.normal(size=(16, 3)), at, entities if keyed else None))
    model.advance(rows(rng.normal(size=(1, 3)), [model.time + 0.1], ["host-0"] if keyed else None))
    assert (model.model_version, model.applied) == (2, 1)
    slots = np.array([model.slots.resident[name] for name in version.entities])
    assert np.allclose(model.bank.centroids[slots], moved.centroids, atol=1e-5)
    again = store.model(model.detection, store.checkpoint(model))
    assert (again.model_version, again.born) == (2, model.born)


@pytest.mark.parametrize("payload", [{"made_for": 2}, {"made_for": 1, "result": "error"}, {}])
def test_a_refusal_or_a_version_for_another_model_changes_nothing(payload: dict[str, object]) -> None:
    _, model, version = of_model()
    given = {**payload, "version": version.payload()} if payload.get("made_for") == 2 else payload
    assert version_for(model.model_version, given) is None


def test_entities_that_are_unknown_by_then_are_passed_over() -> None:
    _, model, version = of_model()
    stranger = Version(("stranger", *version.entities[1:]), *(getattr(version, name) for name in ARRAYS))
    adopt(model, {"made_for": 1, "version": stranger.payload()})
    assert "stranger" not in model.slots
