from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from detector.cli.main import app
from detector.cli.plot_file import record_of
from detector.config.load import load
from detector.errors import ConfigError, SourceError, StoreError
from detector.refit.fitting import fit
from detector.refit.record import Record, write
from detector.refit.values import Parameters, Window
from detector.store.folder import refit_file
from detector.store.sqlite import SqliteStore
from detector.types import Partition

RUNNER = CliRunner()


@pytest.fixture(name="config")
def config_fixture(tmp_path: Path) -> Path:
    text = """
source: {kind: file, path: events.jsonl}
events: {features: [cpu, latency], entity: host, timestamp: {path: ts, unit: s}}
store: {path: STORE}
"""
    file = tmp_path / "config.yaml"
    file.write_text(text.replace("STORE", str(tmp_path / "state")), encoding="utf-8")
    return file


def events(file: Path, hosts: tuple[int, ...] = (60, 30)) -> Path:
    rng = np.random.default_rng(0)
    lines = [
        json.dumps({"host": f"host-{h}", "cpu": rng.normal(), "latency": rng.normal(10, 2), "ts": 1.8e9 + i})
        for h, count in enumerate(hosts)
        for i in range(count)
    ]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def plot(*arguments: object) -> str:
    result = RUNNER.invoke(app, ["plot", *map(str, arguments)], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


@pytest.mark.parametrize("algorithm", ["dbscan", "hierarchical", "kmeans"])
def test_a_file_of_events_is_drawn_by_the_entity_with_most_rows(algorithm: str, config: Path, tmp_path: Path) -> None:
    picture, file = tmp_path / "clusters.svg", events(tmp_path / "events.jsonl")
    said = plot(picture, "--file", file, "--algorithm", algorithm, "--config", config)
    assert said == f"{picture}: 60 rows of {file}, host-0\n"
    assert "60 rows" in picture.read_text(encoding="utf-8")
    assert "30 rows" in plot(picture, "--file", file, "--entity", "host-1", "--config", config)


def test_a_file_of_events_is_drawn_as_the_model_sees_them(config: Path, tmp_path: Path) -> None:
    declared = "features: [{name: cpu, transforms: [rate]}, latency], cycles: [hour_of_day]"
    config.write_text(config.read_text(encoding="utf-8").replace("features: [cpu, latency]", declared), "utf-8")
    lines = [json.dumps({"host": f"h{i % 2}", "cpu": 5 * i, "latency": 1.0, "ts": 1.8e9 + i}) for i in range(120)]
    file = tmp_path / "events.jsonl"
    file.write_text("\n".join(lines), encoding="utf-8")
    record = record_of(file, load(config), Parameters("kmeans"))
    assert record.features[:2] == ["cpu (rate)", "latency"]
    assert len(record.features) == 4
    for window in record.windows:
        assert np.isnan(window.rows[0, 0]), "a counter's first value has no rate"
        assert window.rows[1:, 0] == pytest.approx(5.0)
        assert (window.rows[:, 2:] ** 2).sum(1) == pytest.approx(1.0)
    plot(tmp_path / "clusters.svg", "--file", file, "--config", config)


def test_the_last_refit_of_a_partition_is_drawn_from_the_store(config: Path, tmp_path: Path) -> None:
    partition, store = Partition("metrics", 3), SqliteStore(tmp_path / "state", keep_rejects=10)
    store.open(partition).close()
    with pytest.raises(StoreError, match="no refit is kept there yet"):
        plot(tmp_path / "picture.png", "--config", config)
    rows = np.random.default_rng(0).normal(size=(80, 2)).astype(np.float32)
    window, parameters = Window(rows, np.ones(80), rows.mean(0), rows.var(0), 4), Parameters("hierarchical")
    record = Record(["cpu", "latency"], [""], parameters, [window], [fit(window, parameters)])
    write(refit_file(tmp_path / "state", partition), record)
    assert plot(tmp_path / "picture.png", "--config", config).endswith("picture.png: 80 rows of metrics/3\n")
    store.open(Partition("metrics", 4)).close()
    with pytest.raises(StoreError, match=r"name one \(--partition\); it has: metrics/3, metrics/4"):
        plot(tmp_path / "picture.png", "--config", config)
    assert "80 rows" in plot(tmp_path / "picture.png", "--config", config, "--partition", "metrics/3")


def test_what_cannot_be_drawn_is_told(config: Path, tmp_path: Path) -> None:
    file = events(tmp_path / "events.jsonl")
    with pytest.raises(ConfigError, match="'host-9' is not in it; there are: host-0, host-1"):
        plot(tmp_path / "p.png", "--file", file, "--entity", "host-9", "--config", config)
    with pytest.raises(SourceError, match="cannot be read"):
        plot(tmp_path / "p.png", "--file", tmp_path / "nothing.jsonl", "--config", config)
    (tmp_path / "bad.jsonl").write_text('{"host": "a"}\nnonsense\n', encoding="utf-8")
    with pytest.raises(SourceError, match="holds 0 events as `events` reads them; the first reject"):
        plot(tmp_path / "p.png", "--file", tmp_path / "bad.jsonl", "--config", config)
    missing = plot(tmp_path / "no" / "p.png", "--file", file, "--config", config)
    assert "cannot be written (No such file or directory)" in " ".join(missing.split())
    ignored = plot(tmp_path / "p.png", "--algorithm", "kmeans", "--config", config)
    assert "--algorithm: counts with --file alone" in " ".join(ignored.split())
    assert "expected a name that ends in .png or .svg" in plot(tmp_path / "p.jpg", "--file", file, "--config", config)
    assert "expected dbscan, hierarchical or kmeans" in plot(
        tmp_path / "p.png", "--file", file, "--algorithm", "optics", "--config", config
    )
