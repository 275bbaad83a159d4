from __future__ import annotations

from typing import Literal

import pytest

from detector.errors import LogChangedError
from detector.store.continuity import Start, Verdict, judge
from detector.types import Checkpoint, LogFacts, Partition, Position

PARTITION = Partition("orders", 3)
MINE = "mine"
POLICIES: list[Literal["stop", "cold", "resume"]] = ["stop", "cold", "resume"]


def checkpoint(offset: int, row: int = 0, topic_id: str = "T1") -> Checkpoint:
    return Checkpoint(Position(offset, row), 1, b"", "", topic_id)


UNCHANGED = {
    "in the middle": (checkpoint(50, 7), LogFacts("T1", 10, 100, 50, MINE)),
    "at its earliest offset": (checkpoint(10), LogFacts("T1", 10, 100, 10, MINE)),
    "at its end": (checkpoint(100), LogFacts("T1", 10, 100, 100, MINE)),
    "nothing committed": (checkpoint(50), LogFacts("T1", 10, 100)),
    "committed by one that does not say": (checkpoint(50), LogFacts("T1", 10, 100, 70, "")),
    "commit behind the checkpoint": (checkpoint(50), LogFacts("T1", 10, 100, 20, MINE)),
    "commit ahead of the checkpoint": (checkpoint(50), LogFacts("T1", 10, 100, 70, MINE)),
    "broker without topic ids": (checkpoint(50), LogFacts("", 10, 100)),
    "checkpoint without a topic id": (checkpoint(50, topic_id=""), LogFacts("T1", 10, 100)),
    "an unknown end": (checkpoint(50), LogFacts("T1", 10, -1)),
    "a source without a log": (checkpoint(50, topic_id=""), LogFacts()),
    "an empty log": (checkpoint(100), LogFacts("T1", 100, 100)),
}

FRESH = {
    "nothing known": LogFacts("T1", 10, 100),
    "a source without a log": LogFacts(),
    "committed by this store, which lost its file": LogFacts("T1", 10, 100, 50, MINE),
    "committed by one that does not say": LogFacts("T1", 10, 100, 50, ""),
}

CHANGED = {
    "topic made anew": (
        checkpoint(50),
        LogFacts("T2", 0, 100, 50, MINE),
        r"made anew: its id is T2, the checkpoint at offset 50 is of topic id T1",
        (0, True),
    ),
    "topic made anew and shorter": (checkpoint(50), LogFacts("T2", 3, 5), r"made anew: its id is T2", (3, True)),
    "truncated below": (
        checkpoint(50, 3),
        LogFacts("T1", 51, 100),
        r"truncated: its earliest offset is 51, the checkpoint goes on at offset 50",
        (51, False),
    ),
    "truncated below without ids": (checkpoint(50), LogFacts("", 51, 100), r"earliest offset is 51", (51, False)),
    "shorter than the checkpoint": (checkpoint(50), LogFacts("", 4, 49), r"ends at offset 49", (4, True)),
    "shorter by the rows of one record": (checkpoint(50, 1), LogFacts("T1", 4, 50), r"ends at offset 50", (4, True)),
    "emptied": (checkpoint(50), LogFacts("", 0, 0), r"ends at offset 0", (0, True)),
    "committed by another store": (
        checkpoint(50),
        LogFacts("T1", 10, 100, 70, "theirs"),
        r"offset 70 was committed .*another store \(id theirs\), this store is mine with a checkpoint at offset 50",
        (70, False),
    ),
    "committed by another store, behind": (checkpoint(50), LogFacts("T1", 0, 99, 9, "theirs"), r"offset 9", (9, False)),
    "committed by another store, gone since": (
        checkpoint(50),
        LogFacts("T1", 80, 100, 70, "theirs"),
        r"another store",
        (80, False),
    ),
    "committed by another store beyond the end": (
        checkpoint(50),
        LogFacts("T1", 10, 60, 70, "theirs"),
        r"another store",
        (60, False),
    ),
    "committed by another store, nothing here": (
        None,
        LogFacts("T1", 10, 100, 70, "theirs"),
        r"another store .*with no checkpoint",
        (70, False),
    ),
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", UNCHANGED)
def test_an_unchanged_log_goes_on_at_the_checkpoint(case: str, policy: Literal["stop", "cold", "resume"]) -> None:
    known, log = UNCHANGED[case]
    assert judge(PARTITION, known, log, MINE, policy) == Verdict(Start.RESUME, known.position)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("case", FRESH)
def test_without_a_checkpoint_a_partition_starts_fresh(case: str, policy: Literal["stop", "cold", "resume"]) -> None:
    assert judge(PARTITION, None, FRESH[case], MINE, policy) == Verdict(Start.FRESH)


@pytest.mark.parametrize("case", CHANGED)
def test_a_changed_log_stops_with_both_choices(case: str) -> None:
    known, log, found, (resume_at, _) = CHANGED[case]
    with pytest.raises(LogChangedError, match=found) as caught:
        judge(PARTITION, known, log, MINE, "stop")
    said = str(caught.value)
    assert said.startswith("orders/3: ")
    assert "`source.on_log_changed: cold` forgets" in said
    assert f"`source.on_log_changed: resume` goes on at offset {resume_at} with" in said


@pytest.mark.parametrize("case", CHANGED)
def test_a_changed_log_starts_cold_where_that_was_chosen(case: str) -> None:
    known, log, _, _ = CHANGED[case]
    verdict = judge(PARTITION, known, log, MINE, "cold")
    assert (verdict.start, verdict.position, verdict.new_log) == (Start.COLD, None, True)
    assert verdict.found.startswith("orders/3: ")


@pytest.mark.parametrize("case", CHANGED)
def test_a_changed_log_is_resumed_where_that_was_chosen(case: str) -> None:
    known, log, _, (resume_at, new_log) = CHANGED[case]
    verdict = judge(PARTITION, known, log, MINE, "resume")
    assert (verdict.start, verdict.position, verdict.new_log) == (Start.RESUME, Position(resume_at), new_log)
    assert verdict.found.startswith("orders/3: ")
