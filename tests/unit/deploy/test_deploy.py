"""What can be known of the container files without a container engine."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from detector import decoding
from detector.cli.main import app
from detector.config.load import load
from detector.sources.fleet_play import play
from detector.sources.simulated_faults import UNITS
from detector.sources.simulation import days_of
from detector.types import PlainRecord

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
COMPOSE = ROOT / "deploy" / "compose.yaml"
COMPOSE_CONFIG = ROOT / "deploy" / "compose.config.yaml"
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


def filled_in(value: str) -> str:
    """Return a value of compose as it is where no variable is set."""
    return _VARIABLE.sub(lambda match: match[2] or "", value)


def service_environment(compose: dict[str, Any], service: str = "detector") -> dict[str, str]:
    """Return the environment of a service as compose fills it in where nothing is set."""
    return {name: filled_in(value) for name, value in compose["services"][service]["environment"].items()}


def known_variables(config: Path) -> set[str]:
    return {match[1] for match in _VARIABLE.finditer(config.read_text(encoding="utf-8"))}


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
    assert image_environment()["DETECTOR_CONFIG"] == command[2], "or `docker exec NAME detector reload` finds none"


def test_the_health_check_is_python_and_asks_where_the_daemon_listens() -> None:
    word, command = arguments("HEALTHCHECK")[0].split("CMD ", 1)
    assert "--start-period" in word
    program = json.loads(command)
    assert program[:2] == ["python", "-c"]
    compile(program[2], "HEALTHCHECK", "exec")
    assert "/healthz" in program[2]


def test_the_configurations_are_usable_inside_the_image(compose: dict[str, Any]) -> None:
    image = {name: value for name, value in image_environment().items() if name != "PATH"}
    for config, environment in (
        (ROOT / "config.yaml", image),
        (COMPOSE_CONFIG, image | service_environment(compose)),
        (COMPOSE_CONFIG, image | service_environment(compose, "fleet")),
    ):
        done = check(config, environment)
        assert done.returncode == 0, done.stderr
        assert "/var/lib/detector" in done.stdout
        assert "9108" in done.stdout


def test_every_variable_that_is_set_is_one_of_the_configuration(compose: dict[str, Any]) -> None:
    python_s = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PIP_DISABLE_PIP_VERSION_CHECK"}
    commands = {"DETECTOR_CONFIG"}
    for service in ("detector", "fleet"):
        assert set(service_environment(compose, service)) <= known_variables(COMPOSE_CONFIG)
    for config in (ROOT / "config.yaml", COMPOSE_CONFIG):
        assert set(image_environment()) - python_s - commands <= known_variables(config)


@pytest.mark.parametrize("service", ["detector", "fleet"])
def test_a_container_of_the_image_gets_its_configuration_and_may_write_to_its_volume_alone(
    compose: dict[str, Any], service: str
) -> None:
    daemon = compose["services"][service]
    mounts = {mount.split(":")[1]: mount for mount in daemon["volumes"]}
    config = json.loads(arguments("CMD")[0])[2]
    assert mounts[config] == f"./{COMPOSE_CONFIG.name}:{config}:ro"
    store = image_environment()["DETECTOR_STORE"]
    assert mounts.get(store) == (f"state:{store}" if service == "detector" else None)
    assert daemon["read_only"]
    assert daemon["cap_drop"] == ["ALL"]
    assert (COMPOSE.parent / daemon["build"]["context"] / daemon["build"]["dockerfile"]).resolve() == DOCKERFILE


def test_volumes_are_those_that_are_mounted(compose: dict[str, Any]) -> None:
    mounts_of_all = [mount for service in compose["services"].values() for mount in service.get("volumes", [])]
    volumes = {mount.split(":")[0] for mount in mounts_of_all if not mount.startswith(".")}
    assert volumes == set(compose["volumes"])


def test_the_fleet_plays_to_the_topic_that_the_daemon_reads(compose: dict[str, Any]) -> None:
    name, *options = map(filled_in, compose["services"]["fleet"]["command"])
    group = typer.main.get_command(app)
    context = typer.Context(group)
    demo = group.get_command(context, name)  # type: ignore[attr-defined]  # a group, which typer says of no command
    given = demo.make_context(name, options).params
    assert given["fleet"]
    assert given["produce"] == service_environment(compose)["DETECTOR_TOPICS"]
    assert str(given["config"]) == json.loads(arguments("CMD")[0])[2]
    assert compose["services"]["fleet"]["healthcheck"] == {"disable": True}


def test_the_daemon_of_compose_reads_all_that_the_fleet_says() -> None:
    config = load(COMPOSE_CONFIG)
    assert {feature.name: feature.unit for feature in config.events.features} == UNITS
    (step,) = itertools.islice(play(days_of(0, hosts=3), hosts=3, begin=1e9, speed=60), 1)
    records = [PlainRecord(n, int(step.time * 1000), event.key, event.value) for n, event in enumerate(step.events)]
    decoded = decoding.build(config.events).decode(records)
    assert (len(decoded.rows), decoded.rejects) == (3, [])


def test_alerts_reach_alertmanager_from_the_daemon_and_from_prometheus(compose: dict[str, Any]) -> None:
    sinks = yaml.safe_load(COMPOSE_CONFIG.read_text(encoding="utf-8"))["sinks"]
    (sink,) = [sink for sink in sinks if sink["kind"] == "alertmanager"]
    prometheus = yaml.safe_load((ROOT / "deploy" / "prometheus" / "compose.yaml").read_text(encoding="utf-8"))
    (group,) = prometheus["alerting"]["alertmanagers"]
    (target,) = [each for config in group["static_configs"] for each in config["targets"]]
    assert filled_in(sink["url"]) == f"http://{target}"
    service, port = target.split(":")
    assert compose["services"][service]["ports"] == [f"127.0.0.1:{port}:{port}"]
    config = compose["services"][service]["command"][0].removeprefix("--config.file=")
    assert f"./alertmanager/alertmanager.yaml:{config}:ro" in compose["services"][service]["volumes"]


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
    assert len(published) == 5
    assert all(port.startswith("127.0.0.1:") for port in published)
