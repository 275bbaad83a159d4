"""`detector bench quality` as a user runs it, on a small folder of labelled sets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.labelled import write_set

N = 1500
LABELS = np.isin(np.arange(N), [800, 900, 901, 1200])


def quality(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "detector", "bench", "quality", "--data", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).normal(size=(N, 3))
    values[LABELS] += 30.0
    streams: dict[str, Any] = {"entity": np.arange(N) % 2, "entities": ["x", "y"]}
    write_set(tmp_path, "sorted", {"group": "g", "preset": "metrics"}, X=values, y=LABELS, **streams)
    write_set(tmp_path, "mixed", {"group": "h", "preset": "events", "shuffle": [0]}, X=values, y=LABELS)
    return tmp_path


def test_the_last_line_is_the_json_of_all_sets_and_the_table_goes_elsewhere(folder: Path) -> None:
    done = quality(folder, "--json")
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1), done.stderr
    told = json.loads(done.stdout)
    assert set(told) == {"sets", "groups"}
    assert {name: each["preset"] for name, each in told["sets"].items()} == {"sorted": "metrics", "mixed": "events"}
    for each in told["sets"].values():
        assert set(each) == {"roc", "ap", "preset", "events_per_second"}
        assert each["roc"] > 0.99
    assert told["groups"] == {
        group: {measure: told["sets"][name][measure] for measure in ("roc", "ap")}
        for group, name in (("g", "sorted"), ("h", "mixed"))
    }
    assert "g: ROC-AUC, average precision" in done.stderr
    assert "running z" not in done.stderr


def test_the_table_has_the_peers_beside_and_says_which_are_absent(folder: Path) -> None:
    done = quality(folder, "--only", "mixed")
    assert done.returncode == 0, done.stderr
    assert "running z" in done.stdout
    assert "sklearn IsolationForest" in done.stdout
    assert done.stdout.count("PySAD LODA") == 1  # in the table, or in the line that says that it is left out


def test_sets_and_groups_are_chosen_by_name(folder: Path) -> None:
    told = json.loads(quality(folder, "--json", "--groups", "g, h", "--only", "mixed", "--only", "sorted").stdout)
    assert list(told["sets"]) == ["sorted", "mixed"]
    wrong = quality(folder, "--only", "sorted,unsorted")
    assert wrong.returncode == 2
    assert "no set unsorted; there are mixed, sorted" in wrong.stderr


def test_a_set_that_cannot_be_read_is_told_of_and_the_others_are_judged(folder: Path) -> None:
    write_set(folder, "broken", {"group": "g"}, X=np.zeros((5, 2)))
    write_set(folder, "unlabelled", {"group": "g"}, X=np.zeros((5, 2)), y=np.zeros(5))
    done = quality(folder, "--json", "--only", "broken,unlabelled,mixed")
    assert done.returncode == 2
    assert "broken is left out: " in done.stderr
    assert "unlabelled is left out: it has no labelled anomalies" in done.stderr
    assert list(json.loads(done.stdout)["sets"]) == ["mixed"]


def test_a_folder_without_sets_and_one_that_is_not_there_exit_2(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        done = quality(folder)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
