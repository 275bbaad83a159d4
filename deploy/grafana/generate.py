"""The Grafana dashboards of detector: `python -m deploy.grafana.generate` writes dashboards/*.json.

Run it in the repository's root; it needs grafana-foundation-sdk, which the extra `test` has. The files are committed; a
test holds them to what this yields.
"""

from __future__ import annotations

import json
from pathlib import Path
from string import ascii_uppercase

from grafana_foundation_sdk.builders import dashboard, heatmap, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardCursorSync, DataSourceRef, VariableOption, VariableRefresh
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from deploy.grafana.boards import BOARDS, NEW_VERSION
from deploy.grafana.panels import ON, Board, Panel

FOLDER = Path(__file__).parent / "dashboards"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_COLUMNS, _ROWS = 12, 8
"""Size of a panel on Grafana's grid, which has 24 columns."""


def files() -> dict[Path, str]:
    """Return the text of every dashboard's file."""
    return {FOLDER / f"{board.name}.json": _written(board) for board in BOARDS}


def _written(board: Board) -> str:
    built = (
        dashboard.Dashboard(board.title)
        .uid(f"detector-{board.name}")
        .description(board.description)
        .tags(["detector"])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(_variable("instance", "Daemon", "label_values(detector_build_info, instance)"))
        .with_variable(
            _variable("topic", "Topic", f"label_values(detector_last_event_timestamp_seconds{{{ON}}}, topic)")
        )
        .annotation(
            dashboard.AnnotationQuery()
            .name("Model versions")
            .datasource(_SOURCE)
            .enable(enable=True)
            .icon_color("purple")
            .expr(NEW_VERSION)
        )
    )
    for number, panel in enumerate(board.panels, 1):
        built = built.with_panel(_panel(panel).id(number))
    written = json.loads(JSONEncoder().encode(built.build()))
    for annotation in written["annotations"]["list"]:  # what the kit's builder of annotations cannot say
        annotation["titleFormat"] = "{{topic}}/{{partition}}: version {{version}}"
    return json.dumps(written, sort_keys=True, indent=2) + "\n"


def _variable(name: str, label: str, query: str) -> dashboard.QueryVariable:
    everything = VariableOption(text="All", value="$__all")
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(_SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(multi=True)
        .include_all(include_all=True)
        .current(everything)
    )


def _panel(panel: Panel) -> timeseries.Panel | heatmap.Panel:
    kind = heatmap.Panel().calculate(calculate=False) if panel.heat else timeseries.Panel().fill_opacity(10).min(0)
    built = kind.title(panel.title).description(panel.description).unit(panel.unit).datasource(_SOURCE)
    built = built.span(_COLUMNS).height(_ROWS)
    for name, query in zip(ascii_uppercase, panel.queries, strict=False):
        asked = prometheus.Dataquery().ref_id(name).expr(query.expr).legend_format(query.legend).datasource(_SOURCE)
        if panel.heat:
            asked = asked.format(PromQueryFormat.HEATMAP)
        built = built.with_target(asked)
    return built


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
