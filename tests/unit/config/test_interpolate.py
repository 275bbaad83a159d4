from __future__ import annotations

import pytest

from detector.config.interpolate import interpolate

ENVIRON = {"HOST": "h", "EMPTY": "", "NESTED": "${HOST}"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("plain $HOME $", "plain $HOME $"),
        ("${HOST}", "h"),
        ("http://${HOST}:${PORT:-80}/", "http://h:80/"),
        ("${HOST:-x}", "h"),
        ("${EMPTY:-x}", "x"),
        ("${EMPTY}", ""),
        ("${NONE:-}", ""),
        ("${NONE:-a:-b$c}", "a:-b$c"),
        ("$${HOST}", "${HOST}"),
        ("$${", "${"),
        ("${NESTED}", "${HOST}"),
    ],
)
def test_references_are_replaced(text: str, result: str) -> None:
    assert interpolate(text, ENVIRON) == result


def test_a_variable_that_is_not_set_is_an_error_that_names_it() -> None:
    with pytest.raises(ValueError, match=r"NONE is not set; set it, or give a default as \$\{NONE:-default\}"):
        interpolate("${NONE}", ENVIRON)


@pytest.mark.parametrize("text", ["${", "${}", "${a b}", "${1A}", "${HOST", "${HOST-x}"])
def test_a_reference_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        interpolate(text, ENVIRON)
