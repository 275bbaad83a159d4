from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

SKIPS = {
    "a test that skips itself": "import pytest\ndef test(): pytest.skip('no broker')",
    "a mark": "import pytest\n@pytest.mark.skip(reason='no broker')\ndef test(): pass",
    "a fixture": "import pytest\n@pytest.fixture\ndef f(): pytest.skip('no broker')\ndef test(f): pass",
    "a module": "import pytest\npytest.skip('no broker', allow_module_level=True)",
}
PASSES = {
    "a test that passes": "def test(): pass",
    "a failure that is expected": "import pytest\n@pytest.mark.xfail(strict=True)\ndef test(): assert False",
}


def run(folder: Path, text: str, ci: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.strict", "-c", os.devnull, "--rootdir", str(folder)]
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [*command, "-p", "no:cacheprovider", str(folder / "test_it.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("text", SKIPS.values(), ids=SKIPS)
def test_what_is_skipped_fails_under_ci_and_says_why(tmp_path: Path, text: str) -> None:
    done = run(tmp_path, text, "true")
    assert done.returncode in {1, 2}, done.stdout
    assert "not for CI: " in done.stdout
    assert "no broker" in done.stdout


@pytest.mark.parametrize(("text", "ci"), [(t, "") for t in SKIPS.values()] + [(t, "true") for t in PASSES.values()])
def test_elsewhere_a_skip_is_a_skip_and_what_passes_passes(tmp_path: Path, text: str, ci: str) -> None:
    done = run(tmp_path, text, ci)
    assert done.returncode in {0, 5}, done.stdout
    assert " failed" not in done.stdout
