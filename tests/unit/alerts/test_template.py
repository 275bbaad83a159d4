from __future__ import annotations

import sys
import time

import pytest

from detector.alerts.template import OUTPUT_LIMIT, Template, UnusableTemplateError


def refused(text: str, seconds: float = 5.0, **values: object) -> str:
    with pytest.raises(UnusableTemplateError) as told:
        Template(text, seconds).render(values)
    return str(told.value)


def test_it_fills_in_and_escapes_nothing_but_what_it_is_asked_to() -> None:
    made = Template("{{ a }} {% for b in c %}{{ b|tojson }},{% endfor %}\n").render({"a": "<&>", "c": ["x\ny", 1]})
    assert made == '<&> "x\\ny",1,\n'


def test_what_comes_from_outside_is_never_run() -> None:
    assert Template("{{ a }}").render({"a": "{{ 7 * 7 }}"}) == "{{ 7 * 7 }}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ a", "line 1: "),
        ("{% for %}", "line 1: "),
        ("\n{% nothing %}", "line 2: "),
        ("{{ missing }}", "'missing' is undefined"),
        ("{{ a.missing }}", "no attribute 'missing'"),
        ("{{ 1 / 0 }}", "ZeroDivisionError"),
        ("{{ a|nothing }}", "line 1: No filter named 'nothing'"),
        ("{% include 'other' %}", "no loader"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(text: str, told: str) -> None:
    said = refused(text, a={})
    assert told in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "text",
    [
        "{{ a.__class__.__mro__[1].__subclasses__() }}",
        "{{ ''.__class__ }}",
        "{{ a.append(1) }}",
        "{{ self.__init__.__globals__ }}",
        "{{ '{0.__class__}'.format(a) }}",
        "{{ cycler.__init__.__globals__ }}",
    ],
)
def test_it_reaches_nothing_beyond_its_values(text: str) -> None:
    assert refused(text, a=[])


def test_too_long_a_text_is_cut_off() -> None:
    assert "more than" in refused("{% for i in range(99999) %}xxxxxxxxxx{% endfor %}")
    assert len(Template("{{ a }}").render({"a": "x" * OUTPUT_LIMIT})) == OUTPUT_LIMIT


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% for i in a %}{% for j in a %}{% for k in a %}{% endfor %}{% endfor %}{% endfor %}",
        "{% macro again() %}{% for i in range(99999) %}{{ again() }}{% endfor %}{% endmacro %}{{ again() }}",
    ],
    ids=["ranges", "values", "recursion"],
)
def test_a_loop_that_says_nothing_is_interrupted(text: str) -> None:
    began = time.monotonic()
    assert refused(text, 0.1, a=list(range(100_000)))
    assert time.monotonic() - began < 20.0, "without the bound it would take hours"


@pytest.mark.parametrize(
    "text", ["{{ 'x' * 10**9 }}", "{{ 9**9**9 }}", "{{ [0] * 999999999 }}", "{{ '%999999999s' % 1 }}"]
)
def test_no_huge_value_is_made_by_multiplying(text: str) -> None:
    began = time.monotonic()
    assert any(why in refused(text) for why in ("repetitions", "a power beyond", "use ~ to join"))
    assert time.monotonic() - began < 20.0


def test_numbers_are_counted_with_as_usual() -> None:
    assert Template("{{ 7 * 6 }} {{ 2**10 }} {{ 7 % 4 }} {{ '-' * 3 }}").render({}) == "42 1024 3 ---"


def test_whoever_traces_goes_on_tracing() -> None:
    before = sys.gettrace()
    Template("x").render({})
    refused("{{ missing }}")
    assert sys.gettrace() is before
