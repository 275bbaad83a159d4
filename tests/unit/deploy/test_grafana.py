"""The dashboards: what their generator yields, each panel explained, about metrics that there are."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from deploy.grafana.boards import BOARDS, Board, Panel
from deploy.grafana.generate import FOLDER, files
from detector.telemetry.metrics import Metrics
from tests.support.metric_names import metric_names

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
    assert panel.title
    assert panel.unit
    assert panel.description.endswith((".", "?")), board.name


def test_the_panels_ask_for_metrics_that_there_are() -> None:
    known = metric_names(Metrics())
    for _, panel in PANELS:
        for query in panel.queries:
            asked = set(re.findall(r"\b(?:detector|process)_\w+", query.expr))
            assert asked <= known, asked - known
