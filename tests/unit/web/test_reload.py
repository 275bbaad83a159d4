from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from detector.config.sections import Config, Http
from detector.errors import ConfigError
from detector.web.reload import NOT_ALLOWED, Reload

SMALLEST = {"source": {"kind": "computer"}, "events": {"features": ["a"]}}


def reload(**http: Any) -> Reload:
    return Reload(dict, Http.model_validate(http))


def config(**http: Any) -> Config:
    return Config.model_validate(SMALLEST | {"http": http})


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("", False),
        ("testclient", False),
    ],
)
def test_callers_of_this_machine_may_ask_without_a_token(address: str, *, allowed: bool) -> None:
    assert reload().allowed(address, "") is allowed
    assert reload(reload_token="t").allowed(address, "") is allowed


@pytest.mark.parametrize(
    ("authorization", "allowed"),
    [
        ("Bearer secret", True),
        ("bearer  secret", True),
        ("Bearer secre", False),
        ("Bearer secret2", False),
        ("Bearer s\u00e9cret", False),
        ("Basic secret", False),
        ("secret", False),
        ("Bearer ", False),
        ("", False),
    ],
)
def test_callers_from_elsewhere_need_the_token(authorization: str, *, allowed: bool) -> None:
    assert reload(reload_token="secret").allowed("10.0.0.1", authorization) is allowed
    assert not reload().allowed("10.0.0.1", authorization), "there is none, so nobody has it"


def test_another_token_counts_once_it_is_applied(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n", encoding="utf-8")
    callers = reload(reload_token={"file": file})
    file.write_text("new\n", encoding="utf-8")
    prepared = callers.prepare(config(reload_token={"file": file}))
    assert prepared.changed == ["http.reload_token"]
    assert callers.allowed("10.0.0.1", "Bearer old")
    prepared.apply()
    assert callers.allowed("10.0.0.1", "Bearer new")
    assert not callers.allowed("10.0.0.1", "Bearer old")
    callers.prepare(config()).apply()
    assert not callers.allowed("10.0.0.1", "Bearer new")


def test_a_token_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with pytest.raises(ConfigError, match=r"http\.reload_token: its file cannot be read"):
        reload(reload_token={"file": file})
    file.write_text(" \n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"http\.reload_token: its file is empty"):
        reload(reload_token={"file": file})


def test_what_is_said_to_others_names_the_setting_and_no_secret() -> None:
    assert "`http.reload_token`" in NOT_ALLOWED
