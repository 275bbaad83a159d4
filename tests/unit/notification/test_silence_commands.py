from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from detector.config.labels import LABELS
from detector.errors import CommandError
from detector.notification import silence_commands
from detector.notification.silence_commands import SilenceCommands
from detector.store.notification import NotificationFile
from detector.store.silences import KEEP_SECONDS
from tests.support.alerts import TurnedClock

ONE = {"matchers": ["entity=db-1"], "seconds": 60, "author": "ann", "comment": "a disk is changed"}


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
def commands(tmp_path: Path, clock: TurnedClock) -> Iterator[SilenceCommands]:
    file = NotificationFile(tmp_path / "store", keep_given_up=10, now=clock.now)
    yield SilenceCommands(file.file, file.connect(), clock.now, lambda: [*LABELS, "site"])
    file.close()


def states(commands: SilenceCommands) -> dict[str, str]:
    return {silence["id"]: silence["state"] for silence in commands.list({"expired": True})["silences"]}


def test_a_silence_is_added_from_now_on_and_told_as_it_was_understood(commands: SilenceCommands) -> None:
    told = commands.add(ONE)["silence"]
    assert told.pop("id")
    assert told == {
        "state": "active",
        "matchers": ['entity="db-1"'],
        "from": "2027-01-15T08:00:00Z",
        "until": "2027-01-15T08:01:00Z",
        "author": "ann",
        "comment": "a disk is changed",
        "created": "2027-01-15T08:00:00Z",
    }


def test_it_may_begin_later_and_end_at_a_time(commands: SilenceCommands, clock: TurnedClock) -> None:
    now = clock.now()
    later = commands.add(ONE | {"from": now + 100})["silence"]
    until = commands.add(ONE | {"seconds": None, "until": now + 200})["silence"]
    past = commands.add(ONE | {"seconds": 7200, "from": now - 3600})["silence"]
    assert [each["state"] for each in (later, until, past)] == ["pending", "active", "active"]
    assert (later["from"], later["until"]) == ("2027-01-15T08:01:40Z", "2027-01-15T08:02:40Z")
    clock.turn(150)
    assert states(commands) == {later["id"]: "active", until["id"]: "active", past["id"]: "active"}
    clock.turn(50)
    assert [each["id"] for each in commands.list({})["silences"]] == [past["id"]]


def test_silences_are_ended_all_that_were_named_or_none(commands: SilenceCommands, clock: TurnedClock) -> None:
    first, second, third = (commands.add(ONE)["silence"]["id"] for _ in range(3))
    with pytest.raises(CommandError, match="silence nosuch: not known; `detector silence list` tells their ids"):
        commands.expire({"ids": [first, "nosuch"]})
    assert set(states(commands).values()) == {"active"}
    clock.turn(10)
    ended = commands.expire({"ids": [first, second, first]})["silences"]
    assert sorted(each["id"] for each in ended) == sorted([first, second])
    assert {each["until"] for each in ended} == {"2027-01-15T08:00:10Z"}
    assert states(commands) == {first: "expired", second: "expired", third: "active"}
    with pytest.raises(CommandError, match=f"silence {first}: it has been over since 2027-01-15T08:00:10Z"):
        commands.expire({"ids": [third, first]})
    with pytest.raises(CommandError, match="expected the ids"):
        commands.expire({"ids": []})


def test_adding_forgets_what_has_long_been_over(commands: SilenceCommands, clock: TurnedClock) -> None:
    first = commands.add(ONE)["silence"]["id"]
    clock.turn(60 + KEEP_SECONDS - 1)
    second = commands.add(ONE)["silence"]["id"]
    assert states(commands) == {first: "expired", second: "active"}
    clock.turn(1)
    third = commands.add(ONE)["silence"]["id"]
    assert states(commands) == {second: "active", third: "active"}


def test_there_are_so_many_at_most(commands: SilenceCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence_commands, "_LIVE", 2)
    first = commands.add(ONE)["silence"]["id"]
    commands.add(ONE)
    with pytest.raises(CommandError, match="2 are active or pending already"):
        commands.add(ONE)
    commands.expire({"ids": [first]})
    commands.add(ONE)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"seconds": None}, "say for how long"),
        ({"until": 1_900_000_000}, "say for how long"),
        ({"seconds": None, "until": 1_700_000_000}, "it would be over at 2023-11-14T22:13:20Z, before it begins (now)"),
        (
            {"seconds": None, "until": 1_900_000_000, "from": 1_900_000_001},
            "before it begins (2030-03-17T17:46:41Z)",
        ),
        ({"from": 1_700_000_000}, "it would be over at 2023-11-14T22:14:20Z, before it begins (now)"),
        ({"seconds": 4e8}, "in more than ten years"),
        ({"seconds": 1e15}, "in more than ten years"),
        ({"from": 1e15}, "in more than ten years"),
        ({"seconds": -1}, "`seconds` is no time"),
        ({"from": "now"}, "`from` is no time"),
        ({"seconds": True}, "`seconds` is no time"),
        ({"matchers": []}, "expected 1 to 50 matchers"),
        ({"matchers": "a=b"}, "expected matchers"),
        ({"matchers": ["host=a"]}, 'host="a": no incident has the label `host`; expected one of topic, partition, '),
        ({"matchers": ["severity=bogus"]}, 'severity="bogus": the severity of an incident is one of warning, critical'),
        ({"matchers": ["entity=a", "kind!~anomalous"]}, "the kind of an incident is one of anomaly, absence"),
        ({"matchers": ["db-1"]}, 'expected a matcher such as severity="critical"'),
        ({"matchers": ['entity=~"("']}, "is no regular expression"),
        ({"matchers": ["entity!=db-1"]}, 'say topic=~".+" if that is meant'),
        ({"matchers": ["entity=" + "a" * 5000]}, "characters in all"),
        ({"author": " "}, "say who says so (--by NAME)"),
        ({"comment": ""}, "say why (--comment TEXT)"),
        ({"comment": "a" * 5000}, "in at most 4096 bytes"),
        ({"author": None}, "say who says so"),
    ],
)
def test_what_is_no_silence_is_refused_with_what_was_expected(
    commands: SilenceCommands, other: dict[str, Any], said: str
) -> None:
    with pytest.raises(CommandError) as refused:
        commands.add(ONE | other)
    assert said in str(refused.value)
    assert commands.list({"expired": True}) == {"silences": []}
