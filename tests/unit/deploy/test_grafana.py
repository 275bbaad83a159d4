"""The dashboards: what their generator yields, each panel explained, about metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.boards import BOARDS, NEW_VERSION
from deploy.grafana.generate import FOLDER, files
from deploy.grafana.panels import ON, TOPIC, Board, Panel
from detector.telemetry.metrics import Metrics
from tests.support.metric_names import metric_names
from tests.support.prometheus import promtool

UNITS = {"short", "s", "bytes", "cps", "percentunit", "bool_yes_no"}
"""Those of Grafana's units that are used."""

PANELS = [(board, panel) for board in BOARDS for panel in board.panels]


def test_the_files_are_what_the_generator_yields() -> None:
    assert {path: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")} == files()


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_dashboard_has_variables_for_daemon_and_topic_and_queries_with_names_of_their_own(board: Board) -> None:
    loaded: dict[str, Any] = json.loads(files()[FOLDER / f"{board.name}.json"])
    assert [variable["name"] for variable in loaded["templating"]["list"]] == ["datasource", "instance", "topic"]
    for panel in loaded["panels"]:
        names = [target["refId"] for target in panel["targets"]]
        assert len(set(names)) == len(names) > 0
        assert all(names)


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=lambda part: getattr(part, "title", ""))
def test_every_panel_has_a_title_a_unit_and_a_description(board: Board, panel: Panel) -> None:
    asks = re.match(r"(Is|Can|Does|Do|Did|What|Which|Who|How|When)\b", panel.title) is not None
    assert asks == panel.title.endswith("?"), "a title is a question, or a plain noun"
    assert panel.unit in UNITS
    assert panel.description.endswith((".", "?")), board.name
    assert panel.queries
    for query in panel.queries:
        assert ON in query.expr
        assert (TOPIC in query.expr) == ("topic" in query.legend), "what is told by topic can be chosen by it"


def test_titles_differ() -> None:
    titles = [panel.title for _, panel in PANELS]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_new_versions_of_a_model_mark_every_graph(board: Board) -> None:
    loaded: dict[str, Any] = json.loads(files()[FOLDER / f"{board.name}.json"])
    (marks,) = loaded["annotations"]["list"]
    assert marks["enable"]
    assert marks["expr"] == NEW_VERSION
    assert marks["titleFormat"] == "{{topic}}/{{partition}}: version {{version}}"


def test_a_version_is_marked_for_five_minutes_and_a_start_is_not(tmp_path: Path) -> None:
    version = 'detector_model_version{instance="d:9108", topic="t", partition="%d"}'
    marks = NEW_VERSION.replace("$instance", ".*").replace("$topic", ".*")
    marked = {"labels": '{topic="t", partition="0", version="2"}', "value": 1}
    case = {
        "interval": "1m",
        "input_series": [
            {"series": version % 0, "values": "1x10 2x10"},
            {"series": version % 1, "values": "_x10 1x10"},
        ],
        "promql_expr_test": [
            {"expr": marks, "eval_time": when, "exp_samples": [marked] if when == "12m" else []}
            for when in ("8m", "12m", "18m")
        ],
    }
    (tmp_path / "rules.yaml").write_text("groups: []", "utf-8")
    (tmp_path / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [case]}), "utf-8")
    promtool(tmp_path, "test", "rules", "test.yaml")


def test_the_panels_ask_for_metrics_that_there_are() -> None:
    known = metric_names(Metrics())
    for _, panel in PANELS:
        for query in panel.queries:
            asked = set(re.findall(r"\b(?:detector|process)_\w+", query.expr))
            assert asked <= known, asked - known
