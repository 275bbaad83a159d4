"""Helm itself, as a library for Java: `helm lint --strict`, and `helm template` with any number of values."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.support import maven

FOLDER = Path(__file__).parents[1] / "helm"
POM = FOLDER / "pom.xml"

Manifest = dict[str, Any]


class Linted(NamedTuple):
    """What lint says, and whether it failed."""

    messages: str
    failed: bool


class Rendered(NamedTuple):
    """The manifests by kind, and why there are none."""

    manifests: dict[str, Manifest]
    error: str


def helm(chart: Path, values: Mapping[str, Mapping[str, Any]], folder: Path) -> tuple[Linted, dict[str, Rendered]]:
    """Lint a chart, and render it as the release `test` with each of the values; `folder` is for files.

    Where Helm cannot be had the test is skipped; under CI it fails.
    """
    try:
        classpath = maven.classpath(POM)
    except maven.MavenUnavailableError as error:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"needs Helm: {error}", pytrace=False)
        pytest.skip(f"needs Helm, which Maven fetches: {error}")
    files = {name: folder / f"{name}.yaml" for name in values}
    for name, file in files.items():
        file.write_text(yaml.safe_dump(dict(values[name])), encoding="utf-8")
    command = ["java", "-cp", classpath, str(FOLDER / "HelmCommand.java"), str(chart), *map(str, files.values())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in {0, 1}, done.stderr
    return Linted(done.stdout, bool(done.returncode)), {name: _rendered(file) for name, file in files.items()}


def _rendered(values: Path) -> Rendered:
    error = values.with_name(values.name + ".error")
    if error.exists():
        return Rendered({}, error.read_text(encoding="utf-8"))
    text = values.with_name(values.name + ".out").read_text(encoding="utf-8")
    manifests = [each for each in yaml.safe_load_all(text) if each is not None]
    by_kind: dict[str, Manifest] = {each["kind"]: each for each in manifests}
    assert len(by_kind) == len(manifests), "one of a kind"
    return Rendered(by_kind, "")
