from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from detector.cli.live import partitions_of, show
from detector.cli.main import app, main
from detector.control.wire import Answer
from detector.errors import StoreError
from detector.store.folder import make


def test_the_partitions_of_all_daemons_are_one_list() -> None:
    answers = [Answer(1, {"partitions": [{"partition": "t/0"}, {"partition": "t/1"}]}), Answer(2, {"partitions": []})]
    assert partitions_of(answers) == [{"partition": "t/0"}, {"partition": "t/1"}]


@pytest.mark.parametrize(("as_json", "printed"), [(True, '{"asked": ["t/0"]}\n'), (False, "one\ntwo\n")])
def test_an_answer_is_one_json_object_for_programs_and_lines_for_people(
    capsys: pytest.CaptureFixture[str], *, as_json: bool, printed: str
) -> None:
    show({"asked": ["t/0"]}, (line for line in ("one", "two")), as_json=as_json)
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 54321"), OSError("No username set")])
def test_a_user_without_a_name_is_asked_for_one(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def getuser() -> str:
        raise error

    monkeypatch.setattr("getpass.getuser", getuser)
    for command in (
        ["feedback", "0" * 32, "--normal"],
        ["feedback", "undo", "1"],
        ["silence", "add", "a=b", "-m", "x"],
    ):
        done = CliRunner().invoke(app, [*command, "--store", "nowhere"])
        assert (done.exit_code, "say who you are with --by NAME" in done.output) == (2, True)


@pytest.mark.parametrize(
    "command",
    [
        ["incidents", "list"],
        ["explain", "events/0/3"],
        ["feedback", "list"],
        ["outbox", "list"],
        ["silence", "list"],
        ["status"],
        ["state", "show"],
    ],
)
def test_a_store_of_another_user_is_told_of(monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    def stat(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", stat)  # root may look into everything, and tests may be run by it
    done = CliRunner().invoke(app, [*command, "--store", "elsewhere"])
    assert isinstance(done.exception, StoreError), done.exc_info
    assert "elsewhere: cannot be used (Permission denied): check the path" in str(done.exception)


def test_an_argument_that_is_no_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make(tmp_path)
    silence = ["silence", "add", "entity=\udcfc", "-m", "x", "--by", "ann", "--for", "1h", "--store", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["detector", *silence])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert capsys.readouterr().err == "'entity=\\udcfc': expected text in UTF-8; is that what this terminal writes?\n"
