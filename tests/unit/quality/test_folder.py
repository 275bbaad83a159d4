from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detector.errors import LabelledSetError
from detector.quality.folder import chosen, labelled_sets
from detector.quality.labelled import Rule
from tests.support.labelled import write_set

X = np.zeros((8, 2))
Y = np.arange(8) % 2


def test_a_set_without_a_rule_is_events_without_timestamps_and_metrics_with(tmp_path: Path) -> None:
    write_set(tmp_path, "events", X=X, y=Y)
    write_set(tmp_path, "metrics", X=X, y=Y, t=np.arange(8))
    assert [(each.name, each.rule) for each in labelled_sets(tmp_path)] == [
        ("events", Rule(preset="events")),
        ("metrics", Rule(preset="metrics")),
    ]


def test_a_folder_without_a_manifest_is_one_without_rules(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", X=X, y=Y)
    assert [(each.name, each.rule) for each in labelled_sets(tmp_path)] == [("a", Rule())]


def test_the_history_of_a_set_is_no_set_unless_the_manifest_says_so(tmp_path: Path) -> None:
    for name in ("a", "a_train", "b_train"):
        write_set(tmp_path, name, X=X, y=Y)
    assert [each.name for each in labelled_sets(tmp_path)] == ["a", "b_train"]
    write_set(tmp_path, "a_train", {"preset": "events"}, X=X, y=Y)
    assert [each.name for each in labelled_sets(tmp_path)] == ["a", "a_train", "b_train"]


def test_sets_come_by_group_and_name(tmp_path: Path) -> None:
    for name, group in (("b", "z"), ("c", "a"), ("a", "z")):
        write_set(tmp_path, name, {"group": group}, X=X, y=Y)
    assert [(each.rule.group, each.name) for each in labelled_sets(tmp_path)] == [("a", "c"), ("z", "a"), ("z", "b")]


def test_an_empty_folder_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(LabelledSetError, match="no labelled sets there"):
        labelled_sets(tmp_path)


@pytest.mark.parametrize("rule", [{"preset": "logs"}, {"thin": 2}, {"shuffle": "yes"}, {"limit": 0}, []])
def test_a_rule_that_cannot_be_is_told_of(tmp_path: Path, rule: Any) -> None:
    write_set(tmp_path, "a", rule, X=X, y=Y)
    with pytest.raises(LabelledSetError, match=r"manifest\.json"):
        labelled_sets(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"sets": 5}', '{"sets": {"a": 1}}'])
def test_a_manifest_that_is_none_is_told_of(tmp_path: Path, text: str) -> None:
    np.savez(tmp_path / "a.npz", X=X, y=Y)
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(LabelledSetError, match=r"manifest\.json"):
        labelled_sets(tmp_path)


@pytest.mark.parametrize("content", [b"no", b"PK\x03\x04 cut off", b""])
def test_a_file_without_a_rule_that_is_no_archive_is_told_of(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(LabelledSetError, match=r"a\.npz: not an \.npz file"):
        labelled_sets(tmp_path)


@pytest.mark.parametrize(
    ("only", "groups", "expected"),
    [
        (set(), set(), ["a", "b", "c"]),
        ({"c", "a"}, set(), ["a", "c"]),
        (set(), {"y"}, ["b", "c"]),
        ({"a", "c"}, {"y"}, ["c"]),
    ],
)
def test_sets_are_chosen_by_name_and_group(
    tmp_path: Path, only: set[str], groups: set[str], expected: list[str]
) -> None:
    for name, group in (("a", "x"), ("b", "y"), ("c", "y")):
        write_set(tmp_path, name, {"group": group}, X=X, y=Y)
    assert [each.name for each in chosen(tmp_path, only=only, groups=groups)] == expected


def test_a_name_that_is_none_is_told_of_with_those_there_are(tmp_path: Path) -> None:
    write_set(tmp_path, "a", {"group": "x"}, X=X, y=Y)
    with pytest.raises(LabelledSetError, match="no set b, c; there are a"):
        chosen(tmp_path, only={"c", "a", "b"}, groups=set())
    with pytest.raises(LabelledSetError, match="no group y; there are x"):
        chosen(tmp_path, only=set(), groups={"y"})
