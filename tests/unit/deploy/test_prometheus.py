"""The rules for Prometheus: sound, tested by promtool, about metrics that there are, and each with its runbook."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from detector.telemetry.metrics import Metrics
from tests.support.metric_names import metric_names
from tests.support.prometheus import promtool

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "prometheus"
GROUPS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "rules.yaml").read_text(encoding="utf-8"))["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "rules.yaml"),
        ("check", "config", "prometheus.yaml"),
        ("check", "config", "compose.yaml"),
        ("test", "rules", "rules.test.yaml"),
    ],
)
def test_promtool_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    promtool(FOLDER, *arguments)


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_stays_quiet() -> None:
    cases = yaml.safe_load((FOLDER / "rules.test.yaml").read_text(encoding="utf-8"))["tests"]
    fires, quiet = set[str](), set[str]()
    for case in cases:
        expected = [(test["alertname"], bool(test["exp_alerts"])) for test in case["alert_rule_test"]]
        fires |= {name for name, firing in expected if firing}
        if not any(firing for _, firing in expected):
            quiet |= {name for name, _ in expected}
    assert fires == quiet == ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_has_a_severity_words_and_a_page_of_the_runbook(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^## (\w+)$", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert name in headings
    assert anchor == name.lower()


def test_the_rules_ask_for_metrics_that_there_are() -> None:
    known = metric_names(Metrics())
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    for rule in RULES:
        asked = set(re.findall(r"\bdetector[:_][\w:]+", rule["expr"]))
        assert asked <= known | recorded, asked - known - recorded
