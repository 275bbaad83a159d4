from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from detector.errors import CommandError, NotMineError
from detector.models.versions import Version
from detector.refit_commands import RefitCommands
from detector.types import ControlKind
from tests.support.models import PARTITION, rows
from tests.support.refitted import PLAN, Refitted, stream


@pytest.fixture(scope="module")
def adopted() -> Iterator[Refitted]:
    """Return a partition whose model was refitted, adopted and fed on."""
    refitted = Refitted()
    refitted.feed(6000)
    refitted.model.bank.centroids[0] += 0.8
    refitted.refit()
    refitted.feed(128)
    assert refitted.model.model_version == 2
    yield refitted
    refitted.close()


@pytest.fixture(name="commands")
def commands_fixture(adopted: Refitted) -> RefitCommands:
    return RefitCommands(adopted.refitting, adopted.partitions, PLAN.parameters)


def listed(commands: RefitCommands) -> dict[str, Any]:
    (partition,) = commands.list_({})["partitions"]
    json.dumps(partition)  # an answer is plain JSON
    return dict(partition)


def test_list_tells_versions_candidates_and_decisions(commands: RefitCommands) -> None:
    partition = listed(commands)
    assert partition["partition"] == str(PARTITION)
    assert (partition["version"], partition["kept"], partition["state"]) == (2, [1], "idle")
    assert partition["window_rows"] > 200
    candidate, decision = partition["history"][:2]
    assert (candidate["kind"], candidate["makes"]) == ("candidate", None)
    assert (decision["result"], decision["makes"]) == ("adopted", 2)
    assert not {"version", "replaced"} & (candidate.keys() | decision.keys())


def test_diff_tells_how_far_centroids_moved(commands: RefitCommands) -> None:
    (partition,) = commands.diff({"before": 1})["partitions"]
    assert (partition["before"], partition["after"]) == (1, 2)
    (entity,) = partition["entities"]
    assert entity["centroids"] == [6, 6]
    assert 0 < entity["moved_mean"] <= entity["moved_most"]
    (same,) = commands.diff({"before": 1, "after": 1})["partitions"][0]["entities"]
    assert same["moved_most"] == 0


def test_a_version_of_a_model_of_another_form_is_not_kept_for_this_one() -> None:
    """To put it in force would be to put rows of three features where there are four."""
    other = Refitted()
    other.feed(1000)
    other.refitting.roll_back(other.owned, 1, Version.of(other.model.bank, np.array([0]), [""]))
    other.feed(128)
    commands = RefitCommands(other.refitting, other.partitions, PLAN.parameters)
    assert listed(commands)["kept"] == [1]
    detection = other.model.detection
    fewer = replace(detection, model=detection.model.model_copy(update={"centroids": 5}))
    other.owned.control(ControlKind.CONFIGURATION, fewer.to_payload())
    other.model.advance(rows(stream(other.at, 200), start=other.at))
    other.model.advance(rows(stream(other.at, 200), start=other.at))
    assert (other.model.model_version, listed(commands)["kept"]) == (3, [])
    with pytest.raises(CommandError, match=r"no version 1 is kept \(kept: none yet; in force: 3\)"):
        commands.roll_back({"to": 1})
    other.close()


@pytest.mark.parametrize("number", [7, None, "1"])
def test_a_version_that_is_not_kept_is_told_with_those_that_are(commands: RefitCommands, number: object) -> None:
    with pytest.raises(CommandError, match=r"no version .* is kept \(kept: 1.*; in force: 2\)"):
        commands.diff({"before": number})
    with pytest.raises(CommandError, match="is kept"):
        commands.roll_back({"to": number})


def test_another_workers_partition_is_not_this_ones_business(commands: RefitCommands) -> None:
    with pytest.raises(NotMineError, match="not a partition of this daemon"):
        commands.list_({"partition": "elsewhere/0"})


def test_an_unknown_algorithm_is_refused(commands: RefitCommands) -> None:
    with pytest.raises(CommandError, match="'optics' is no algorithm"):
        commands.refit({"algorithm": "optics"})


def test_a_refit_is_asked_for_and_a_roll_back_makes_a_version_of_its_own(
    commands: RefitCommands, adopted: Refitted
) -> None:
    answer = commands.roll_back({"to": 1, "partition": str(PARTITION)})
    assert answer["to"] == 1
    adopted.feed(128)
    assert (listed(commands)["version"], listed(commands)["kept"]) == (3, [1, 2])
    assert commands.refit({"algorithm": "hierarchical"}) == {"asked": [str(PARTITION)]}
    assert listed(commands)["state"] == "asked"
