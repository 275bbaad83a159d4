from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from detector.errors import CommandError, NotMineError
from detector.refit_commands import RefitCommands
from tests.support.models import PARTITION
from tests.support.refitted import PLAN, Refitted


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
