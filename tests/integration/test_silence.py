"""`detector silence` where no daemon runs: processes, their output and exit codes, and the store's file."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from detector.store import folder
from tests.integration.test_cli import SLOW_TO_IMPORT, detector, imported_by

ADD = ("add", "entity=~db-.*", "severity!=critical", "--comment", "a disk is changed")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder.make(tmp_path / "store")
    return tmp_path / "store"


def silence(store: Path, *arguments: str) -> CompletedProcess[str]:
    done = detector("silence", *arguments, "--store", str(store))
    assert "Traceback" not in done.stderr
    return done


def test_silences_are_added_listed_and_expired_in_the_file(store: Path) -> None:
    done = silence(store, *ADD, "--for", "2h", "--by", "ann")
    assert (done.returncode, done.stderr) == (0, "")
    head, matchers, said = done.stdout.splitlines()
    identity, state = head.split()[:2]
    assert state == "active,"
    assert matchers.strip() == 'entity=~"db-.*", severity!="critical"'
    assert said.strip() == "ann: a disk is changed"
    assert silence(store, "list").stdout == done.stdout
    done = silence(store, "expire", identity, "--json")
    (ended,) = json.loads(done.stdout)["silences"]
    assert (ended["id"], ended["state"]) == (identity, "expired")
    assert silence(store, "list").stdout == ""
    assert json.loads(silence(store, "list", "--expired", "--json").stdout) == {"silences": [ended]}


def test_a_silence_may_have_its_times_said(store: Path) -> None:
    done = silence(store, *ADD, "--from", "2090-01-01T00:00:00Z", "--until", "2090-01-01T02:00:00+01:00", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "in more than ten years" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((*ADD,), 2, "say for how long (--for 2h) or until when"),
        ((*ADD, "--for", "soon"), 2, "--for soon: expected a quantity such as 10s"),
        ((*ADD, "--until", "2026-12-01"), 2, "--until 2026-12-01: expected a time such as 2026-11-01T00:00:00Z"),
        (("add", "db-1", "--for", "2h", "--comment", "c"), 2, "expected a matcher such as"),
        (("add", "entity=db-1", "--for", "2h"), 2, "Missing option '--comment'"),
        (("expire", "nosuch"), 2, "silence nosuch: not known"),
        (("add", "site=a", "--for", "2h", "--comment", "c", "--config", "no.yaml"), 2, "no.yaml: cannot be read"),
    ],
    ids=["no-end", "no-duration", "no-offset", "no-matcher", "no-comment", "no-such", "labels-not-known"],
)
def test_what_an_operator_gets_wrong_is_told(store: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    done = silence(store, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_a_folder_that_holds_no_store_does_not_become_one(tmp_path: Path) -> None:
    done = silence(tmp_path / "typo", *ADD, "--for", "2h")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"{tmp_path / 'typo'}: holds no store (no store.json): check store.path.\n"
    assert not (tmp_path / "typo").exists()


def test_silencing_imports_nothing_that_is_slow(store: Path) -> None:
    slow = SLOW_TO_IMPORT - {"numpy"}  # the values of the store are arrays, some of them
    assert imported_by("silence", "list", "--store", str(store)) & slow == set()
