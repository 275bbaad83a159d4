"""Whatever stands in the file, the outcome is a configuration or a ConfigError with a place in each line."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from detector.config.load import parse
from detector.errors import ConfigError

SHIPPED = (Path(__file__).parents[3] / "config.yaml").read_text(encoding="utf-8")
LINES = [line for line in SHIPPED.splitlines() if line.strip() and not line.lstrip().startswith("# ")]
VALUES = st.sampled_from(
    [
        "",
        "~",
        "no",
        "1",
        "-1",
        "1e400",
        ".nan",
        "5s",
        "[]",
        "{}",
        "[1]",
        "{a: b}",
        "${NONE}",
        "*x",
        "!t v",
        "'",
        "|",
        "=",
        "<<",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | VALUES


@given(st.lists(st.sampled_from(LINES), max_size=30))
@settings(max_examples=100, deadline=None)
def test_shuffled_lines_of_a_configuration(lines: list[str]) -> None:
    outcome("\n".join(line.replace("#", "", 1) for line in lines))


@given(st.sampled_from(range(len(LINES))), VALUES)
@settings(max_examples=100, deadline=None)
def test_a_configuration_with_one_value_replaced(number: int, value: str) -> None:
    lines = [line.replace("#", "", 1) if index == number else line for index, line in enumerate(LINES)]
    lines[number] = re.sub(r":( .*)?$", lambda _: f": {value}", lines[number])
    outcome("\n".join(lines))


@given(st.text(alphabet=st.sampled_from("a:-[]{}#&*!|>'\"%@`,? \n\t$0.\x00\ufeff\ud7ff"), max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text(text: str) -> None:
    outcome(text)


def outcome(text: str) -> None:
    try:
        parse(text, "c.yaml", environ={})
    except ConfigError as error:
        lines = str(error).splitlines()
    else:
        return
    assert lines
    assert [line for line in lines if not re.match(r"c\.yaml(:\d+)?: ", line)] == []
