from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

ENDED = """
import os, pathlib, pytest, signal

@pytest.fixture(scope="session")
def broker():
    yield
    pathlib.Path("ended").touch()

def test(broker):
    os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_run_that_is_terminated_ends_what_it_started(tmp_path: Path) -> None:
    file = tmp_path / "test_it.py"
    file.write_text(ENDED, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.support.fixtures", "-c", os.devnull, "--rootdir", ".", file.name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout
    assert (tmp_path / "ended").exists()
