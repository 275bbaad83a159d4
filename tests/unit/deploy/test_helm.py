"""The Helm chart, rendered by Helm: manifests that hold what they promise, and what the daemon takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest
import yaml

from detector.version import __version__
from tests.support.helm import Linted, Manifest, Rendered, helm

ROOT = Path(__file__).parents[3]
CHART = ROOT / "deploy" / "helm" / "detector"
SHIPPED = (ROOT / "config.yaml").read_text(encoding="utf-8")
BROKERS = {"to": [{"namespaceSelector": {}}], "ports": [{"port": 9092, "protocol": "TCP"}]}

ALWAYS = {"ConfigMap", "NetworkPolicy", "PodDisruptionBudget", "Service", "ServiceAccount", "StatefulSet"}
USABLE: dict[str, dict[str, Any]] = {
    "defaults": {},
    "shipped": {"config": SHIPPED},
    "everything": {
        "nameOverride": "watch",
        "image": {"repository": "registry.example.com/detector", "tag": "2.0"},
        "imagePullSecrets": [{"name": "registry"}],
        "config": "# Another one.\n" + SHIPPED,
        "env": {"DETECTOR_LOG_LEVEL": "debug", "DETECTOR_GROUP": "1"},
        "existingSecret": "detector-variables",
        "existingSecretFiles": "detector-files",
        "persistence": {"size": "20Gi", "storageClassName": "fast"},
        "serviceAccount": {"annotations": {"owner": "us"}},
        "networkPolicy": {"from": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}], "egress": [BROKERS]},
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "podAnnotations": {"owner": "us"},
        "podLabels": {"team": "us"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
    },
    "little": {
        "replicas": 0,
        "serviceAccount": {"create": False},
        "podDisruptionBudget": {"enabled": False},
        "networkPolicy": {"enabled": False},
    },
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "misspelt": ({"replica": 1}, "'replica' not allowed"),
    "shared": ({"replicas": 2}, "/replicas"),
    "number": ({"env": {"DETECTOR_GROUP": 1}}, "/env/DETECTOR_GROUP"),
    "chart_s_own": ({"env": {"DETECTOR_STORE": "/tmp"}}, "DETECTOR_STORE"),
    "empty": ({"config": ""}, "/config"),
    "structure": ({"config": {"sinks": []}}, "/config"),
}


@pytest.fixture(scope="module")
def helmed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Linted, dict[str, Rendered]]:
    """Lint and render all at once: a Java program takes seconds to start."""
    values = USABLE | {name: given for name, (given, _) in REFUSED.items()}
    return helm(CHART, values, tmp_path_factory.mktemp("helm"))


@pytest.fixture
def rendered(helmed: tuple[Linted, dict[str, Rendered]], request: pytest.FixtureRequest) -> dict[str, Manifest]:
    found = helmed[1][request.param]
    assert not found.error
    return found.manifests


every = pytest.mark.parametrize("rendered", USABLE, indirect=True)


def only(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rendered", [name], indirect=True)


def pod(rendered: dict[str, Manifest]) -> dict[str, Any]:
    found: dict[str, Any] = rendered["StatefulSet"]["spec"]["template"]["spec"]
    return found


def container(rendered: dict[str, Manifest]) -> dict[str, Any]:
    (found,) = pod(rendered)["containers"]
    assert isinstance(found, dict)
    return found


def environment(rendered: dict[str, Manifest]) -> dict[str, str]:
    """Return the variables that the pod gets, as Kubernetes would fill them in."""
    given = {each["name"]: each.get("value", "detector-0") for each in container(rendered)["env"]}
    assert len(given) == len(container(rendered)["env"]), "each once"
    return given


def test_lint_finds_nothing(helmed: tuple[Linted, dict[str, Rendered]]) -> None:
    lint = helmed[0]
    assert not lint.failed, lint.messages
    assert "WARNING" not in lint.messages


@pytest.mark.parametrize("name", REFUSED)
def test_values_that_cannot_be_meant_are_refused(helmed: tuple[Linted, dict[str, Rendered]], name: str) -> None:
    assert REFUSED[name][1] in helmed[1][name].error


def test_the_schema_knows_every_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(values, schema)
    assert set(schema["properties"]) - {"global"} == set(values)
    for name, section in schema["properties"].items():
        if section.get("additionalProperties") is False:
            assert set(section["properties"]) == set(values[name]), name


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["appVersion"] == __version__


@pytest.mark.parametrize(
    ("rendered", "kinds"),
    [
        ("defaults", ALWAYS),
        ("everything", ALWAYS | {"ServiceMonitor"}),
        ("little", {"ConfigMap", "Service", "StatefulSet"}),
    ],
    indirect=["rendered"],
)
def test_what_is_asked_for_is_rendered(rendered: dict[str, Manifest], kinds: set[str]) -> None:
    assert rendered.keys() == kinds


@every
def test_all_that_selects_the_pod_finds_it(rendered: dict[str, Manifest]) -> None:
    stateful = rendered["StatefulSet"]["spec"]
    labels = stateful["template"]["metadata"]["labels"].items()
    selectors = [stateful["selector"]["matchLabels"], rendered["Service"]["spec"]["selector"]]
    selectors += [
        rendered[kind]["spec"][key]["matchLabels"]
        for kind, key in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector"))
        if kind in rendered
    ]
    for selector in selectors:
        assert selector
        assert selector.items() <= labels
    assert stateful["serviceName"] == rendered["Service"]["metadata"]["name"]
    assert pod(rendered)["serviceAccountName"] == (
        rendered["ServiceAccount"]["metadata"]["name"] if "ServiceAccount" in rendered else "default"
    )
    if "ServiceMonitor" in rendered:
        monitor = rendered["ServiceMonitor"]["spec"]
        assert monitor["selector"]["matchLabels"].items() <= rendered["Service"]["metadata"]["labels"].items()
        assert monitor["endpoints"] == [{"port": "http", "path": "/metrics", "interval": "15s"}]


@every
def test_it_runs_without_rights_and_writes_to_nothing_but_its_volume(rendered: dict[str, Manifest]) -> None:
    account = pod(rendered)["securityContext"]
    assert account["runAsNonRoot"]
    assert f"--uid {account['runAsUser']} " in (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    assert account["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(rendered)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(rendered)["automountServiceAccountToken"] is False
    if "ServiceAccount" in rendered:
        assert rendered["ServiceAccount"]["automountServiceAccountToken"] is False
    mounts = {mount["mountPath"]: mount for mount in container(rendered)["volumeMounts"]}
    assert {path for path, mount in mounts.items() if not mount.get("readOnly")} == {"/var/lib/detector", "/tmp"}
    assert environment(rendered)["DETECTOR_STORE"] == "/var/lib/detector"
    (claim,) = rendered["StatefulSet"]["spec"]["volumeClaimTemplates"]
    known = {volume["name"] for volume in pod(rendered)["volumes"]} | {claim["metadata"]["name"]}
    assert {mount["name"] for mount in mounts.values()} == known


@every
def test_it_is_probed_where_it_listens_and_has_time_to_stop(rendered: dict[str, Manifest]) -> None:
    daemon = container(rendered)
    (port,) = daemon["ports"]
    assert str(port["containerPort"]) == environment(rendered)["DETECTOR_HTTP_PORT"]
    probes = {name: daemon[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: probe["path"] for name, probe in probes.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    targets = [probe["port"] for probe in probes.values()]
    targets += [each["targetPort"] for each in rendered["Service"]["spec"]["ports"]]
    assert set(targets) == {port["name"]}
    assert pod(rendered)["terminationGracePeriodSeconds"] >= 10


@every
def test_the_daemon_takes_the_configuration_that_is_rendered(rendered: dict[str, Manifest], tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(rendered["ConfigMap"]["data"]["config.yaml"], encoding="utf-8")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("DETECTOR_", "KAFKA_"))}
    done = subprocess.run(
        [sys.executable, "-m", "detector", "check", "--config", str(file)],
        env=plain | environment(rendered),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "/var/lib/detector" in done.stdout
    assert "9108" in done.stdout
    assert container(rendered)["args"] == ["run", "--config", "/etc/detector/config.yaml"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container(rendered)["volumeMounts"]}
    (volume,) = [each for each in pod(rendered)["volumes"] if each["name"] == mounts["/etc/detector"]]
    assert volume["configMap"]["name"] == rendered["ConfigMap"]["metadata"]["name"]


def test_another_configuration_restarts_the_pod(helmed: tuple[Linted, dict[str, Rendered]]) -> None:
    sums = {
        name: helmed[1][name].manifests["StatefulSet"]["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        for name in ("defaults", "shipped", "little")
    }
    assert sums["defaults"] == sums["little"] != sums["shipped"]


@only("everything")
def test_secrets_come_from_the_secrets_that_are_named_and_stand_nowhere(rendered: dict[str, Manifest]) -> None:
    assert container(rendered)["envFrom"] == [{"secretRef": {"name": "detector-variables"}}]
    secrets = {volume["name"]: volume["secret"] for volume in pod(rendered)["volumes"] if "secret" in volume}
    assert secrets == {"secrets": {"secretName": "detector-files", "defaultMode": 0o440}}
    assert "Secret" not in rendered


@only("everything")
def test_what_is_said_of_the_pod_reaches_it(rendered: dict[str, Manifest]) -> None:
    asked = USABLE["everything"]
    for name in ("imagePullSecrets", "nodeSelector", "tolerations", "affinity", "priorityClassName"):
        assert pod(rendered)[name] == asked[name], name
    assert container(rendered)["image"] == "registry.example.com/detector:2.0"
    assert environment(rendered).items() >= asked["env"].items()
    template = rendered["StatefulSet"]["spec"]["template"]["metadata"]
    assert template["labels"].items() >= asked["podLabels"].items()
    assert template["annotations"].items() >= asked["podAnnotations"].items()
    claim = rendered["StatefulSet"]["spec"]["volumeClaimTemplates"][0]["spec"]
    assert claim["storageClassName"] == "fast"
    assert claim["resources"] == {"requests": {"storage": "20Gi"}}


@pytest.mark.parametrize(
    ("rendered", "types", "peers"),
    [
        ("defaults", ["Ingress"], [{"podSelector": {}}]),
        ("everything", ["Ingress", "Egress"], [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]),
    ],
    indirect=["rendered"],
)
def test_the_network_is_closed_but_for_what_is_said(
    rendered: dict[str, Manifest], types: list[str], peers: list[dict[str, Any]]
) -> None:
    policy = rendered["NetworkPolicy"]["spec"]
    assert policy["policyTypes"] == types
    assert policy["ingress"] == [{"from": peers, "ports": [{"port": "http", "protocol": "TCP"}]}]
    if "Egress" in types:
        dns, *further = policy["egress"]
        assert {(port["port"], port["protocol"]) for port in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
        assert further == [BROKERS]
