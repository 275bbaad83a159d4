from __future__ import annotations

from detector.sources.ownership import Ownership
from detector.types import LogFacts, Partition
from tests.support.assignment import RecordingAssignment

HERE, THERE = Partition("events", 0), Partition("events", 1)


def owning(*partitions: Partition) -> tuple[Ownership, RecordingAssignment]:
    ownership, assignment = Ownership(), RecordingAssignment()
    ownership.tell(assignment)
    ownership.give(partitions)
    for partition in partitions:
        ownership.take_over(partition, LogFacts("id"))
        ownership.arrived(partition)
    return ownership, assignment


def test_nothing_is_told_until_the_callers_turn() -> None:
    ownership, assignment = owning(HERE)
    ownership.take([HERE], lost=False)
    ownership.give([THERE])
    assert assignment.events == [("assigned", HERE)]
    ownership.let_go()
    assert assignment.events == [("assigned", HERE), ("revoked", HERE)]
    assert ownership.arriving == {THERE}


def test_what_is_taken_before_it_was_taken_over_is_never_told() -> None:
    ownership, assignment = owning()
    ownership.give([HERE])
    ownership.take([HERE], lost=False)
    ownership.let_go()
    assert not assignment.events
    assert ownership.empty


def test_taken_and_given_again_is_revoked_first() -> None:
    ownership, assignment = owning(HERE)
    ownership.take([HERE], lost=False)
    ownership.give([HERE])
    ownership.let_go()
    assert assignment.events == [("assigned", HERE), ("revoked", HERE)]
    assert ownership.arriving == {HERE}


def test_lost_partitions_are_not_revoked() -> None:
    ownership, assignment = owning(HERE, THERE)
    ownership.lose_all()
    ownership.let_go()
    assert sorted(assignment.told("lost")) == [HERE, THERE]
    assert not assignment.told("revoked")


def test_asking_anew_gives_up_what_is_owned_and_nothing_else() -> None:
    ownership, assignment = owning(HERE)
    ownership.ask_anew([HERE, THERE])
    assert assignment.told("revoked") == [HERE]
    assert ownership.arriving == {HERE}
