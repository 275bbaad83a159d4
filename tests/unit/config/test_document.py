from __future__ import annotations

import pytest

from detector.config.document import Document, Problem, read
from detector.errors import ConfigError


def plain(text: str) -> Document:
    return read(text, "f.yaml", str)


def test_values_come_with_the_line_of_their_key() -> None:
    found = plain("a: 1\nb:\n  c:\n    - x\n    - y\n")
    assert found.value == {"a": 1, "b": {"c": ["x", "y"]}}
    assert found.line(("b", "c", 1)) == 5
    assert found.line(("b", "c")) == 3


def test_a_path_that_is_not_there_has_the_line_of_what_is_around_it() -> None:
    assert plain("a: 1\nb:\n  c: 2\n").line(("b", "x", "y")) == 2


def test_a_key_given_twice_is_a_problem_that_names_both_lines() -> None:
    assert plain("a: 1\nb: 2\na: 3\n").problems == [Problem(3, ("a",), "given twice (first in line 1); remove one")]


def test_keys_are_text_whatever_yaml_takes_them_for() -> None:
    assert plain("on: 1\n200: 2\n").value == {"on": 1, "200": 2}


def test_a_time_stays_text_with_its_offset() -> None:
    assert plain("a: 2026-11-01T00:00:00+02:00\n").value == {"a": "2026-11-01T00:00:00+02:00"}


def test_an_alias_repeats_its_value() -> None:
    assert plain("a: &x [1]\nb: *x\n").value == {"a": [1], "b": [1]}


def test_aliases_that_multiply_are_refused_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (problem,) = plain("\n".join(lines)).problems
    assert "check its aliases" in problem.text


def test_an_alias_inside_its_own_value_is_refused() -> None:
    assert ["check its aliases" in p.text for p in plain("a: &x [*x]\n").problems] == [True]


def test_nesting_beyond_reason_is_refused_as_text_too() -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        plain("[" * 5000 + "]" * 5000)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: !x y\n", "tags are not allowed"),
        ("a: !!python/object/apply:os.system [ls]\n", "tags are not allowed"),
        ("<<: {b: 1}\n", "merge keys are not supported"),
        ("[1]: 2\n", "expected a name as the key"),
        ("a: !!int x\n", "cannot be read as int"),
    ],
)
def test_what_is_beyond_plain_yaml_is_a_problem(text: str, said: str) -> None:
    (problem,) = plain(text).problems
    assert said in problem.text


def test_several_documents_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"f.yaml:\d: not valid YAML"):
        plain("a: 1\n---\nb: 2\n")


def test_what_interpolation_changes_stays_text() -> None:
    assert read("a: x\nb: 5\n", "f", lambda _: "7").value == {"a": "7", "b": 5}


def test_an_unquoted_scalar_made_empty_is_null_and_a_quoted_one_is_empty() -> None:
    assert read("a: x\nb: 'x'\n", "f", lambda _: "").value == {"a": None, "b": ""}


def test_what_interpolation_refuses_is_a_problem_of_that_place() -> None:
    def refuse(text: str) -> str:
        raise ValueError(text)

    assert read("a:\n  - x\n", "f", refuse).problems == [Problem(2, ("a", 0), "x")]
