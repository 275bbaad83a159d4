"""The unit for systemd: sound by systemd's own word, and as hardened as it says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[3] / "deploy" / "systemd" / "detector.service"


def systemd_analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is missing: it comes with systemd")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that there is, as systemd looks for it."""
    program = rf"\1={sys.executable}"
    text = re.sub(r"^(ExecStart|ExecReload)=\S+", program, UNIT.read_text(encoding="utf-8"), flags=re.MULTILINE)
    path = tmp_path / UNIT.name
    path.write_text(text, encoding="utf-8")
    return path


def test_systemd_finds_nothing_wrong(unit: Path) -> None:
    done = systemd_analyze("verify", "--man=no", str(unit))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_it_is_hardened(unit: Path) -> None:
    done = systemd_analyze("security", "--offline=yes", "--threshold=25", "--no-pager", str(unit))
    assert done.returncode == 0, done.stdout


def test_it_waits_for_the_daemon_to_be_ready_and_watches_its_loop() -> None:
    settings = dict(
        line.split("=", 1) for line in UNIT.read_text(encoding="utf-8").splitlines() if "=" in line and line[0] != "#"
    )
    assert settings["Type"] == "notify"
    assert settings["WatchdogSec"] == "60s"
    assert settings["ExecReload"].startswith(settings["ExecStart"].split()[0] + " reload ")
