from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from detector.errors import StoreError
from detector.refit.fitting import fit
from detector.refit.picture import components, draw
from detector.refit.record import Record, decode, encode, read, write
from detector.refit.values import Candidate, Parameters, Window
from detector.refit.wire import MalformedMessageError

FEATURES = ["cpu", "memory", "disk", "latency"]


def window(rows: int = 300, seed: int = 0) -> Window:
    rng = np.random.default_rng(seed)
    values = (rng.choice([0.0, 8.0], rows)[:, None] + rng.normal(size=(rows, 4))).astype(np.float32)
    values[0] = 60.0
    return Window(values, np.ones(rows), values.mean(0), values.var(0), 4)


def texts(svg: Path) -> str:
    """Return what is written in a picture: matplotlib leaves it in comments beside the outlines of the letters."""
    return " | ".join(re.findall(r"<!-- (.*?) -->", svg.read_text(encoding="utf-8")))


@pytest.mark.parametrize("algorithm", ["dbscan", "hierarchical", "kmeans"])
def test_a_picture_says_what_it_shows(algorithm: str, tmp_path: Path) -> None:
    asked = window()
    candidate = fit(asked, Parameters(algorithm))  # type: ignore[arg-type]
    draw(tmp_path / "picture.svg", "metrics/0", FEATURES, asked, candidate)
    said = texts(tmp_path / "picture.svg")
    assert "metrics/0" in said
    assert f"300 rows, {candidate.clusters} clusters" in said
    assert f"noise: {candidate.noise.sum()} rows" in said
    assert "centroids, area by mass" in said
    assert "of the variance)" in said
    assert ("Ward's tree" in said) == (algorithm == "hierarchical")


def test_the_same_refit_gives_the_same_png(tmp_path: Path) -> None:
    asked = window()
    candidate = fit(asked, Parameters("hierarchical"))
    for name in ("one.png", "other.png"):
        draw(tmp_path / name, "metrics/0", FEATURES, asked, candidate)
    one, other = ((tmp_path / name).read_bytes() for name in ("one.png", "other.png"))
    assert one == other
    assert one.startswith(b"\x89PNG")


def test_another_kind_of_picture_is_refused(tmp_path: Path) -> None:
    asked = window()
    with pytest.raises(ValueError, match=r"\.png or \.svg"):
        draw(tmp_path / "picture.bmp", "metrics/0", FEATURES, asked, fit(asked, Parameters("kmeans", k=2)))


@pytest.mark.parametrize("rows", [1, 2, 30])
def test_few_rows_and_one_feature_are_drawn_too(rows: int, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(rows, 1)).astype(np.float32)
    asked = Window(values, np.ones(rows), values.mean(0), values.var(0), 4)
    draw(tmp_path / "picture.png", "one", ["cpu"], asked, fit(asked, Parameters("dbscan")))
    assert (tmp_path / "picture.png").stat().st_size > 1000


def test_many_clusters_share_a_colour(tmp_path: Path) -> None:
    values = (np.repeat(np.arange(15), 30)[:, None] * 10.0 + np.random.default_rng(0).normal(size=(450, 4))).astype(
        "f4"
    )
    asked = Window(values, np.ones(450), np.zeros(4, np.float32), np.ones(4, np.float32) * 4, 16)
    asked = Window(values, asked.weights, values.mean(0), values.var(0), 16)
    candidate = fit(asked, Parameters("kmeans", k=15))
    draw(tmp_path / "picture.svg", "many", FEATURES, asked, candidate)
    assert f"{candidate.clusters - 10} more: " in texts(tmp_path / "picture.svg")


def test_the_principal_axes_are_those_of_the_most_variance() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(500, 3)) * [1.0, 5.0, 0.1]
    base, shares = components(z)
    assert np.abs(base[:, 0]).argmax() == 1
    assert base[1, 0] > 0
    assert shares[0] == pytest.approx(25 / 26, abs=0.02)
    assert base.T @ base == pytest.approx(np.eye(2))


def test_a_refit_is_kept_and_read_again(tmp_path: Path) -> None:
    windows = [window(seed=1), window(rows=40, seed=2)]
    parameters = Parameters("hierarchical", count=2)
    record = Record(FEATURES, ["small name", ""], parameters, windows, [fit(each, parameters) for each in windows])
    write(tmp_path / "0.refit", record)
    again = read(tmp_path / "0.refit")
    assert (again.features, again.entities, again.parameters) == (FEATURES, ["small name", ""], parameters)
    for got, was in zip(again.candidates, record.candidates, strict=True):
        assert isinstance(got, Candidate)
        assert got.tree.tobytes() == was.tree.tobytes()
        assert got.labels.tobytes() == was.labels.tobytes()


def test_no_record_and_a_damaged_one_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="detector refit --wait"):
        read(tmp_path / "0.refit")
    parameters = Parameters("kmeans", k=2)
    raw = encode(Record(FEATURES, [""], parameters, [window()], [fit(window(), parameters)]))
    for damaged in (b"", raw[:-20], raw[4:], b"x" * 100):
        with pytest.raises(MalformedMessageError):
            decode(damaged)
    (tmp_path / "0.refit").write_bytes(raw[:-20])
    with pytest.raises(StoreError, match="the next refit replaces it"):
        read(tmp_path / "0.refit")
