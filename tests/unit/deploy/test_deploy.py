"""What can be known of the container files without a container engine."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
COMPOSE = ROOT / "deploy" / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions with their arguments, lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def arguments(instruction: str) -> list[str]:
    return [rest for word, rest in instructions() if word == instruction]


def image_environment() -> dict[str, str]:
    return dict(pair.split("=", 1) for rest in arguments("ENV") for pair in shlex.split(rest))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def service_environment(compose: dict[str, Any]) -> dict[str, str]:
    """Return the daemon's environment as compose fills it in where nothing is set."""
    given: dict[str, str] = compose["services"]["detector"]["environment"]
    return {name: _VARIABLE.sub(lambda match: match[2] or "", value) for name, value in given.items()}


def known_variables() -> set[str]:
    return {match[1] for match in _VARIABLE.finditer((ROOT / "config.yaml").read_text(encoding="utf-8"))}


def check(config: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("DETECTOR_", "KAFKA_"))}
    return subprocess.run(
        [sys.executable, "-m", "detector", "check", "--config", str(config)],
        env=plain | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_all_that_the_image_copies_is_there() -> None:
    sources = [shlex.split(rest) for rest in arguments("COPY")]
    copied = [path for parts in sources if not parts[0].startswith("--from") for path in parts[:-1]]
    assert {"pyproject.toml", "detector", "config.yaml"} <= set(copied)
    for path in copied:
        assert (ROOT / path).exists(), path


def test_the_package_can_be_built_from_what_the_image_copies() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    copied = " ".join(arguments("COPY"))
    for needed in re.findall(r'^(?:readme|license-files|path) = \[?"([\w./]+)"', project, flags=re.MULTILINE):
        assert needed.split("/")[0] in copied, needed


def test_the_image_runs_as_nobody_in_particular_and_keeps_its_state_in_a_volume() -> None:
    assert arguments("USER")[-1].isdigit()
    assert arguments("USER")[-1] != "0"
    assert arguments("VOLUME") == [image_environment()["DETECTOR_STORE"]]
    assert arguments("EXPOSE") == [image_environment()["DETECTOR_HTTP_PORT"]]


def test_the_image_has_the_python_that_the_package_asks_for() -> None:
    assert arguments("FROM") == ["python:3.11-slim AS build", "python:3.11-slim"]
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_command_is_one_that_the_daemon_has_and_its_configuration_is_copied_there() -> None:
    assert json.loads(arguments("ENTRYPOINT")[0]) == ["detector"]
    command = json.loads(arguments("CMD")[0])
    assert command[:2] == ["run", "--config"]
    assert f"config.yaml {command[2]}" in arguments("COPY")


def test_the_health_check_is_python_and_asks_where_the_daemon_listens() -> None:
    word, command = arguments("HEALTHCHECK")[0].split("CMD ", 1)
    assert "--start-period" in word
    program = json.loads(command)
    assert program[:2] == ["python", "-c"]
    compile(program[2], "HEALTHCHECK", "exec")
    assert "/healthz" in program[2]


def test_the_shipped_configuration_is_usable_inside_the_image(compose: dict[str, Any]) -> None:
    for environment in (image_environment(), image_environment() | service_environment(compose)):
        environment.pop("PATH")
        done = check(ROOT / "config.yaml", environment)
        assert done.returncode == 0, done.stderr
        assert "/var/lib/detector" in done.stdout
        assert "9108" in done.stdout


def test_every_variable_that_is_set_is_one_of_the_configuration(compose: dict[str, Any]) -> None:
    python_s = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    assert set(service_environment(compose)) <= known_variables()
    assert set(image_environment()) - python_s - {"PIP_DISABLE_PIP_VERSION_CHECK"} <= known_variables()


def test_the_daemon_s_mounts_fit_the_image(compose: dict[str, Any]) -> None:
    daemon = compose["services"]["detector"]
    mounts = dict(mount.removesuffix(":ro").split(":") for mount in daemon["volumes"])
    assert (COMPOSE.parent / "../config.yaml").exists()
    assert mounts["../config.yaml"] == json.loads(arguments("CMD")[0])[2]
    assert mounts["state"] == image_environment()["DETECTOR_STORE"]
    assert (COMPOSE.parent / daemon["build"]["context"] / daemon["build"]["dockerfile"]).resolve() == DOCKERFILE
    mounts_of_all = [mount for service in compose["services"].values() for mount in service.get("volumes", [])]
    volumes = {mount.split(":")[0] for mount in mounts_of_all if not mount.startswith(".")}
    assert volumes == set(compose["volumes"])


def test_the_broker_is_the_one_of_the_tests_and_listens_where_the_daemon_looks(compose: dict[str, Any]) -> None:
    broker = compose["services"]["kafka"]
    version = broker["image"].removeprefix("apache/kafka:")
    assert version in (ROOT / "tests" / "kafka" / "pom.xml").read_text(encoding="utf-8")
    assert compose["services"]["topics"]["image"] == broker["image"]
    settings = broker["environment"]
    advertised = dict(listener.split("://") for listener in settings["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert service_environment(compose)["KAFKA_BOOTSTRAP_SERVERS"] == advertised["INSIDE"]
    assert broker["ports"] == [f"{advertised['OUTSIDE']}:9092"]
    listening = dict(listener.split("://") for listener in settings["KAFKA_LISTENERS"].split(","))
    security = dict(pair.split(":") for pair in settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
    assert listening.keys() == security.keys() == advertised.keys() | {settings["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    assert {name: address.split(":")[1] for name, address in advertised.items()} == {
        name: address.split(":")[1] for name, address in listening.items() if name != "CONTROLLER"
    }


def test_all_that_compose_mounts_is_there(compose: dict[str, Any]) -> None:
    mounts = [mount for service in compose["services"].values() for mount in service.get("volumes", [])]
    paths = [mount.split(":")[0] for mount in mounts if mount.startswith(".")]
    assert "./grafana/dashboards" in paths
    for path in paths:
        assert (COMPOSE.parent / path).exists(), path


def test_no_service_of_compose_listens_beyond_this_machine(compose: dict[str, Any]) -> None:
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(published) == 4
    assert all(port.startswith("127.0.0.1:") for port in published)
