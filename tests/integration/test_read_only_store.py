"""A store that cannot be written: who only looks into it is answered, and who would write is told so in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from detector.app import daemon
from detector.cli.main import app
from detector.errors import StoreError, StoreFullError
from tests.support.read_only import read_only
from tests.unit.test_app import configuration, run, write

LOOKING = (
    ("incidents", "list"),
    ("outbox", "list"),
    ("silence", "list"),
    ("feedback", "list"),
    ("state", "show"),
    ("state", "check"),
    ("state", "dead-letters", "readings/0"),
    ("explain", "readings/0/1000"),
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Make a store that a daemon has read a file to, and closed; somebody has said a silence."""
    write(tmp_path)
    with daemon(configuration(tmp_path)) as built:
        run(built)
    done = asked(tmp_path / "store", "silence", "add", "entity=a", "--for", "1h", "-m", "disks", "--by", "ann")
    assert done.exit_code == 0, done.output
    return tmp_path / "store"


def asked(store: Path, *command: str) -> Result:
    config = store.parent / "config.yaml"
    sections = {"source": {"kind": "computer"}, "events": {"features": ["cpu"]}, "store": {"path": str(store)}}
    config.write_text(json.dumps(sections), "utf-8")
    return CliRunner().invoke(app, [*command, "--config", str(config)])


def test_it_can_be_looked_into_but_not_written(store: Path, tmp_path: Path) -> None:
    told = {command: asked(store, *command).stdout for command in LOOKING}
    assert all(told.values())
    with read_only(store):
        assert {command: asked(store, *command).stdout for command in LOOKING} == told
        (incident, *_) = json.loads(asked(store, "incidents", "list", "--json").stdout)["incidents"]
        assert incident["id"] in asked(store, "incidents", "show", incident["id"]).stdout
        assert asked(store, "state", "export", "readings/0", str(tmp_path / "exported")).exit_code == 0
        for command in (
            ("silence", "add", "entity=b", "--for", "1h", "-m", "m", "--by", "ann"),
            ("outbox", "drop", "--sink", "stdout"),
        ):
            error = asked(store, *command).exception
            assert isinstance(error, StoreFullError)
            assert "make it writable" in str(error)
        with pytest.raises(StoreError) as refused, daemon(configuration(tmp_path)) as built:
            run(built)
        assert (refused.value.exit_code, str(refused.value).count("\n")) == (3, 0)
        assert str(refused.value).startswith(f"{store}")
        assert "check the path (store.path?) and its permissions" in str(refused.value)
    assert {command: asked(store, *command).stdout for command in LOOKING} == told
