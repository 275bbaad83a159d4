from __future__ import annotations

import pytest

from detector.config.learning import Learning as Configured
from detector.models.learning import FREEZE, LEARN, QUARANTINE, Learning

CONFIGURED = Configured(default="quarantine", entities={"db-1": "learn", "db-*": "freeze", "*-1": "quarantine"})


@pytest.mark.parametrize(
    ("entity", "mode"),
    [("db-1", LEARN), ("db-2", FREEZE), ("web-1", QUARANTINE), ("", QUARANTINE), ("DB-2", QUARANTINE)],
)
def test_of_the_configuration_the_first_pattern_that_matches_counts(entity: str, mode: int) -> None:
    assert Learning(CONFIGURED, {}).mode_of(entity) == mode


def test_what_was_said_last_counts_and_goes_before_the_configuration() -> None:
    learning = Learning(CONFIGURED, {})
    learning.say("db-1", "freeze")
    assert learning.mode_of("db-1") == FREEZE
    learning.say("db-?", "quarantine")
    assert [learning.mode_of(entity) for entity in ("db-1", "db-2", "db-10")] == [QUARANTINE, QUARANTINE, FREEZE]
    learning.say("db-1", "learn")
    assert [learning.mode_of(entity) for entity in ("db-1", "db-2")] == [LEARN, QUARANTINE]
    assert Learning(CONFIGURED, learning.said).said == learning.said


def test_default_lets_the_configuration_decide_again() -> None:
    learning = Learning(CONFIGURED, {"*": "freeze"})
    learning.say("db-1", "default")
    assert [learning.mode_of(entity) for entity in ("db-1", "web")] == [LEARN, FREEZE]
    learning.configure(Configured(default="learn", entities={"db-1": "quarantine"}))
    assert learning.mode_of("db-1") == QUARANTINE


def test_what_is_said_of_all_replaces_what_was_said_before() -> None:
    learning = Learning(CONFIGURED, {"a": "freeze"})
    learning.say("*", "learn")
    assert learning.said == {"*": "learn"}
    assert learning.mode_of("a") == LEARN
    learning.say("*", "default")
    assert learning.said == {}


@pytest.mark.parametrize("entity", ["[ab]", "a*", "?", "a\nb"])
def test_a_name_that_looks_like_a_pattern_matches_itself(entity: str) -> None:
    learning = Learning(Configured(), {entity: "freeze"})
    assert learning.mode_of(entity) == FREEZE
    assert learning.mode_of("zz") == LEARN
