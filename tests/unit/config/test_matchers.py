from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from detector.config.matchers import Matcher, Matchers, Operator, all_match, parse

LABELS = {"topic": "orders", "entity": "db-7", "severity": "critical"}


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ('severity="critical"', True),
        ("severity=critical", True),
        ("severity = warning", False),
        ('severity!="warning"', True),
        ('entity=~"db-.*"', True),
        ("entity=~db-.*", True),
        ('entity=~"db"', False),
        ('entity!~"db-[0-6]"', True),
        ('entity!~"db-[0-9]"', False),
        ('site=""', True),
        ("site=", True),
        ('site!=""', False),
        ('site=~".+"', False),
        ('{severity="critical", entity=~"db-.*"}', True),
        ('severity="critical", entity="db-8"', False),
        ("{}", True),
        ('"topic"="orders"', True),
    ],
)
def test_a_matcher_compares_the_whole_value_and_an_absent_label_is_empty(text: str, met: bool) -> None:  # noqa: FBT001
    assert all_match(parse(text), LABELS) is met


def test_a_quoted_value_may_hold_anything() -> None:
    assert parse(r'entity="a \"b\", {c}=~\\d\n", topic=x') == (
        Matcher("entity", Operator.EQUAL, 'a "b", {c}=~\\d\n'),
        Matcher("topic", Operator.EQUAL, "x"),
    )


def test_a_backslash_of_a_regular_expression_needs_no_second_one() -> None:
    assert all_match(parse(r'entity=~"db-\d"'), LABELS)


@pytest.mark.parametrize(
    "text", ["severity", "severity=a b", "=critical", "severity==critical", "a=b,,c=d", 'a="b', "a=b; c=d", "{a=b"]
)
def test_what_is_no_matcher_is_quoted_in_the_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a matcher such as severity=.*found `"):
        parse(text)


def test_a_regular_expression_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="`db-\\(` is no regular expression"):
        parse('entity=~"db-("')


@given(st.text(min_size=1), st.sampled_from(Operator), st.text())
def test_what_a_matcher_is_written_as_reads_as_the_same(name: str, operator: Operator, value: str) -> None:
    try:
        matcher = Matcher(name, operator, value)
    except ValueError:
        return  # no regular expression
    assert parse(str(matcher)) == (matcher,)


class Holding(BaseModel):
    matchers: Matchers = ()


def test_the_configuration_takes_one_text_or_a_list() -> None:
    both = parse('a="b", c=~"d"')
    assert Holding.model_validate({"matchers": 'a="b", c=~d'}).matchers == both
    assert Holding.model_validate({"matchers": ["a=b", "c=~d"]}).matchers == both
    assert Holding(matchers=both).model_dump(mode="json") == {"matchers": ['a="b"', 'c=~"d"']}
    with pytest.raises(ValidationError, match="expected a matcher"):
        Holding.model_validate({"matchers": [3]})
